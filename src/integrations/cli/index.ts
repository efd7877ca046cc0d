export { PositionCommand } from './position.command.js';
export { PublishCommand } from './publish.command.js';
export { stderrLogger } from './redis.command.js';
export { SseCliModule, SseCommand } from './sse.command.js';
export { StreamAttachCommand } from './stream-attach.command.js';
export { StreamRunCommand } from './stream-run.command.js';
export { StreamStopCommand } from './stream-stop.command.js';
export { StreamCommand } from './stream.command.js';
export { SubscribeCommand } from './subscribe.command.js';
