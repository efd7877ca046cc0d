/**
 * nchan, in an nginx with one worker. This process starts it, publishes to it by HTTP, and reads the cost of the worker
 * from /proc. Through Redis, a second nginx receives the publications, so that the first only delivers them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from '../ipc.js';
import { Pace } from '../pace.js';
import { options } from './control.js';

const TICKS_PER_SECOND = 100;
const dir = mkdtempSync(join(tmpdir(), 'fanout-nginx-'));

// It has no effect in the `server` block.
const STORE = options.redis ? 'nchan_redis_pass redis;' : '';
const SUBSCRIBE = `${STORE} nchan_subscriber eventsource; nchan_subscriber_first_message newest;`;

// The same history as that of the module.
const configuration = (port) => `
load_module modules/ngx_nchan_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${dir}/${port}.pid;
error_log stderr error;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 1m;
  client_body_buffer_size 1m;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
  nchan_shared_memory_size 512M;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 10m;
  ${options.redis ? `upstream redis { nchan_redis_server ${options.redis}; }` : ''}
  server {
    listen 127.0.0.1:${port};
    location /one { ${SUBSCRIBE} nchan_channel_id $arg_shared; }
    location /many { ${SUBSCRIBE} nchan_channel_id $arg_own; }
    location /both { ${SUBSCRIBE} nchan_channel_id $arg_own $arg_shared; }
    location /publish { ${STORE} nchan_publisher; nchan_channel_id $arg_channel; }
  }
}`;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function startNginx() {
  const port = await freePort();
  const file = join(dir, `${port}.conf`);
  writeFileSync(file, configuration(port));
  const master = spawn('nginx', ['-c', file], { stdio: ['ignore', 'inherit', 'inherit'] });
  const { pid } = master;
  const workers = () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  while (workers()[0] === '') await sleep(50);
  await sleep(500);
  return { port, master, worker: Number(workers()[0]) };
}

const nginx = await startNginx();
const inlet = options.redis ? await startNginx() : nginx;
const socket = connect(inlet.port, '127.0.0.1').setEncoding('utf8');
await once(socket, 'connect');

/** Sends all requests at once (pipelining). nginx processes them in order. */
function publish(events) {
  const requests = events.map(({ channel, data }) => {
    const body = JSON.stringify(data);
    return `POST /publish?channel=${channel} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  socket.write(requests.join(''));
}

socket.on('data', (answers) => {
  if (/HTTP\/1\.1 [3-5]/.test(answers)) throw new Error(answers);
});

const pace = new Pace(publish);
const methods = {
  publish: (plan) => pace.run(plan),
  confirm: (deliveries) => pace.confirm(deliveries),
  cpu() {
    const fields = readFileSync(`/proc/${nginx.worker}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    const [user, system] = [fields[11], fields[12]].map((ticks) => (ticks * 1_000_000) / TICKS_PER_SECOND);
    return { user, system };
  },
  heap: () => NaN,
};

answer(methods, { port: nginx.port, pid: nginx.worker }, async () => {
  for (const { master } of new Set([nginx, inlet])) {
    master.kill();
    await once(master, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
});
