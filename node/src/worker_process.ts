/**
 * The program of a worker process: the core starts `node worker_process.js` for one plugin whose
 * manifest says `"isolation": "process"`.
 *
 * The process is the plugin's: what would end a host ends this and nothing else, and the core tells
 * the host how it ended. The protocol runs on the addon's threads; here the plugin is built and its
 * calls run, on the event loop.
 */
import { type BuildRequest, type BuildSite, type OwnedWorker, build } from "./builder";
import { EventBus } from "./event_bus";
import { type Executor, isRunning, type Running } from "./executor/executor";
import { loadAddon, type NativeWorker } from "./native";
import { fault, type Reply } from "./worker/fault";

/** Longest delay that a timer takes: it only keeps the event loop alive. */
const FOR_EVER = 2 ** 31 - 1;

class WorkerProcess implements BuildSite {
  readonly native: NativeWorker;
  readonly bus: EventBus;
  readonly workers = new Map<number, OwnedWorker>();
  readonly hosts = new Map();
  readonly configs = new Map<string, unknown>();
  readonly #running = new Map<number, Running>();
  #executor: Executor | undefined;
  #stopped: Promise<void> = Promise.resolve();

  constructor() {
    const { NodeWorker } = loadAddon();
    this.native = new NodeWorker((kind, id, payload) => this.#signal(kind, id, payload));
    this.bus = new EventBus({
      onFault: ({ event, what }) => this.native.log(null, "error", `a listener of "${event}" ${what}`),
    });
    setInterval(() => undefined, FOR_EVER);
    this.native.serve();
  }

  /** The thread of a sandboxed script is lost: so is the plugin, which is all that this process is for. */
  lost(_plugin: string, _generation: number, why: { readonly message: string }): void {
    console.error(why.message);
    process.exit(1);
  }

  /** Nobody is given up here: the host counts the grace of a cancelled call, and ends this process. */
  unended(): boolean {
    return true;
  }

  #signal(kind: string, id: number, payload: string): void {
    if (kind === "confine") this.native.confine();
    else if (kind === "build") void this.#build(id, JSON.parse(payload) as BuildRequest);
    else if (kind === "call") void this.#call(id, JSON.parse(payload) as { tool: string; args: unknown });
    else if (kind === "cancel") this.#running.get(id)?.cancel();
    else if (kind === "stop") void this.#stop().then(() => this.#answer(id, { value: null }));
    else if (kind === "heap") this.workers.get(id)?.worker.full();
    else if (kind === "exit") void this.#stopped.finally(() => this.#exit(id));
  }

  #exit(status: number): never {
    this.native.leave();
    process.exit(status);
  }

  #stop(): Promise<void> {
    return (this.#stopped = this.#executor?.stop() ?? this.#stopped);
  }

  async #build(id: number, request: BuildRequest): Promise<void> {
    const built = await build(this, request);
    if ("executor" in built) this.#executor = built.executor;
    this.#answer(id, "fault" in built ? { fault: built.fault } : { tools: built.executor.tools ?? [] });
  }

  async #call(id: number, { tool, args }: { tool: string; args: unknown }): Promise<void> {
    const reply = this.#executor?.invoke(tool, args) ?? ({ ok: false, fault: fault.cancelled() } as const);
    const done = isRunning(reply) ? await this.#end(id, reply) : reply;
    this.#answer(id, done.ok ? { value: done.value ?? null } : { fault: done.fault });
  }

  async #end(id: number, running: Running): Promise<Reply> {
    this.#running.set(id, running);
    try {
      return await running.answer;
    } finally {
      this.#running.delete(id);
    }
  }

  #answer(id: number, answer: unknown): void {
    let text: string;
    try {
      text = JSON.stringify(answer);
    } catch (error) {
      text = JSON.stringify({ fault: fault.unserializable(error instanceof Error ? error.message : "it has no JSON form") });
    }
    this.native.answer(id, text);
  }
}

new WorkerProcess();
