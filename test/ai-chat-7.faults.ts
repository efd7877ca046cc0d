import { describe } from '@jest/globals';
import { describeChats } from './support/ai/cases.js';
import { sdks } from './support/ai/chat.js';

describe('A chat with version 7 of the AI SDK', () => describeChats(sdks[2]));
