/** Code that runs in a worker thread: a module with all of Node, or a script in the sandbox. */
import { readFile } from "node:fs/promises";
import type { EventBus } from "../event_bus";
import { fault, type Fault, type Reply } from "../worker/fault";
import { type Loaded, type PluginWorker, type WorkerEvents } from "../worker/plugin_worker";
import type { PluginContext } from "../worker/protocol";
import { type BuiltExecutor, type Executor, type Running, type ToolSpec, GOODBYE_MS, listed, unpacked } from "./executor";

/** How many events one plugin may listen to; further ones are not delivered. */
const MOST_EVENTS = 256;

/** What a worker executor is built from. */
export interface WorkerSource {
  readonly sandboxed: boolean;
  readonly file: string;
  readonly exportName?: string | undefined;
  readonly plugin: PluginContext;
}

/** What a worker executor needs of its host. */
export interface WorkerHost {
  readonly bus: EventBus;
  log(level: string, text: string): void;
  /** The worker was lost by the plugin's doing. */
  lost(fault: Fault): void;
  /** Only `count` cancelled calls, one of them of `command`, run in the worker, and would not end. False: it stays for now. */
  unended(command: string, count: number): boolean;
  /** Starts the worker. */
  start(events: WorkerEvents): PluginWorker | { readonly fault: Fault };
}

/** Runs the calls of one worker. */
export class WorkerExecutor implements Executor {
  readonly tools: readonly ToolSpec[];
  readonly openTool: string | undefined;
  readonly #worker: PluginWorker;

  constructor(worker: PluginWorker, loaded: Loaded) {
    this.#worker = worker;
    ({ tools: this.tools, openTool: this.openTool } = listed(loaded.commands, loaded.open));
  }

  invoke(tool: string, args: unknown): Running {
    return this.#worker.begin(...unpacked(this.openTool, tool, args));
  }

  async stop(): Promise<void> {
    const timer = setTimeout(() => void this.#worker.stop(), GOODBYE_MS);
    await this.#worker.shutdown();
    clearTimeout(timer);
    await this.#worker.stop();
  }
}

/** Starts the worker and loads the plugin into it. */
export async function buildWorker(source: WorkerSource, host: WorkerHost): Promise<BuiltExecutor> {
  let script = "";
  try {
    if (source.sandboxed) script = await readFile(source.file, "utf8");
  } catch (error) {
    return { fault: fault.unreadable(error instanceof Error ? error.message : source.file) };
  }
  const worker = host.start(eventsOf(host));
  if ("fault" in worker) return worker;
  const answer: Reply & { loaded?: Loaded } = await (source.sandboxed
    ? worker.loadScript(script, source.file, source.plugin)
    : worker.loadModule(source.file, source.plugin, source.exportName));
  if (!answer.ok) return { fault: answer.fault };
  return { executor: new WorkerExecutor(worker, answer.loaded ?? { commands: [], open: false }) };
}

function eventsOf(host: WorkerHost): WorkerEvents {
  const removers = new Map<string, () => void>();
  let worker: PluginWorker | undefined;
  return {
    started: (own) => (worker = own),
    log: (level, text) => host.log(level, text),
    emit: (event, payload) => void host.bus.emit(event, payload),
    listen: (event, wanted) => {
      removers.get(event)?.();
      removers.delete(event);
      if (wanted && removers.size < MOST_EVENTS) removers.set(event, host.bus.on(event, (payload) => worker?.deliver(event, payload)));
    },
    unended: (command, count) => host.unended(command, count),
    lost: (why) => {
      for (const remove of removers.values()) remove();
      // A call that overstays fails its plugin itself; a worker that the host stopped has not failed.
      if (why.code !== "PW-CALL-013" && why.code !== "PW-CALL-005") host.lost(why);
    },
  };
}
