export { PositionCommand } from './position.command.js';
export { PublishCommand } from './publish.command.js';
export { stderrLogger } from './redis.command.js';
export { SseCliModule, SseCommand } from './sse.command.js';
export { SubscribeCommand } from './subscribe.command.js';
