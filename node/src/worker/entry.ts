/**
 * A worker that runs one module plugin, with all of Node at hand: the file that `PluginWorker` starts
 * for plugins whose manifest names a CommonJS or ES module.
 *
 * This contains faults (loops, leaks, exits, stray errors), it is no security border: a module can
 * read files and open sockets. Scripts run in the sandbox instead.
 */
import { pathToFileURL } from "node:url";
import { deserialize, serialize } from "node:v8";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { abort, makeContext } from "./context";
import { guardHeap } from "./heap";
import { type Kernel, kernel } from "./kernel";
import type { FromWorker, PluginContext, ToWorker } from "./protocol";

/** A request of the main thread to a module worker. */
export type ToModule =
  | { readonly op: "module"; readonly id: number; readonly file: string; readonly exportName?: string | undefined; readonly plugin: PluginContext }
  | ToWorker;

/** The first message: the private port, which the plugin's own code cannot reach by `parentPort`. */
export interface Hello {
  readonly port: MessagePort;
  /** The most bytes that one result may have. */
  readonly resultBytes: number;
}

async function importPlugin(file: string): Promise<unknown> {
  // A namespace object is no plain object to the kernel's eyes when it has a default export: that wins.
  return (await import(pathToFileURL(file).href)) as unknown;
}

function exported(namespace: unknown, name: string | undefined): unknown {
  const bag = namespace as Record<string, unknown>;
  if (name === undefined) return namespace;
  const inner = bag[name] ?? (bag["default"] as Record<string, unknown> | undefined)?.[name];
  if (inner === undefined) throw new TypeError(`the module has no export named ${name}`);
  return inner;
}

/** What a plugin writes becomes log lines under its name. */
function captureOutput(own: Kernel): void {
  for (const [stream, level] of [[process.stdout, "info"], [process.stderr, "warn"]] as const) {
    const write = (chunk: unknown, encoding?: unknown, done?: unknown): boolean => {
      own.log(level, [typeof chunk === "string" ? chunk.trimEnd() : Buffer.from(chunk as Uint8Array).toString("utf8").trimEnd()]);
      const called = typeof encoding === "function" ? encoding : done;
      if (typeof called === "function") queueMicrotask(() => (called as () => void)());
      return true;
    };
    stream.write = write as typeof stream.write;
  }
}

function serve(hello: Hello): void {
  const { port, resultBytes } = hello;
  const send = (message: FromWorker): void => {
    const bytes = serialize(message);
    if (bytes.byteLength > resultBytes) throw new RangeError(`${bytes.byteLength} bytes; at most ${resultBytes} are allowed`);
    port.postMessage(bytes);
  };
  const own = kernel({ send, makeContext, abort });
  captureOutput(own);
  const crashed = (error: unknown): void => send({ op: "crashed", thrown: own.describe(error) });
  process.on("uncaughtException", crashed);
  process.on("unhandledRejection", crashed);
  const load = async (request: Extract<ToModule, { op: "module" }>): Promise<void> => {
    try {
      const found = exported(await importPlugin(request.file), request.exportName);
      await own.load(request.id, found, request.plugin);
    } catch (error) {
      send({ op: "unloadable", id: request.id, step: "import", thrown: own.describe(error) });
    }
  };
  port.on("message", (bytes: Uint8Array) => {
    const request = deserialize(bytes) as ToModule;
    if (request.op === "module") void load(request);
    else own.handle(request);
  });
}

guardHeap(workerData);
parentPort?.once("message", serve);
