/**
 * The main thread's end of one plugin's worker.
 *
 * It knows what runs in its worker and nothing of states, generations or counts: those are the
 * core's. Its promises never reject, and each of them settles when the worker ends, however it ends.
 */
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { Running } from "../executor/executor";
import { addonPath } from "../native";
import type { ToSandbox } from "../sandbox/entry";
import type { Hello, ToModule } from "./entry";
import { fault, type Fault, type Reply } from "./fault";
import type { FromWorker, PluginContext, ToWorker } from "./protocol";
import { safeParse } from "./safe_parse";

/** Limits of a worker; what is left out is Node's own default. */
export interface WorkerLimits {
  /** Heap of the worker in megabytes, and as much again for buffers outside the heap. */
  readonly memoryMb?: number | undefined;
  /** The most megabytes of one result; default 256. */
  readonly resultMb?: number | undefined;
}

/** What a worker tells its owner between calls. */
export interface WorkerEvents {
  /** The worker was made; it has not run anything yet. */
  started?(worker: PluginWorker): void;
  /** A log line of the plugin. */
  log?(level: string, text: string): void;
  /** The plugin emits an event. */
  emit?(event: string, payload: unknown): void;
  /** The plugin wants, or no longer wants, an event of the host. */
  listen?(event: string, wanted: boolean): void;
  /** Only `count` cancelled calls are left in the worker, one of them of `command`, all past their grace: it should go. False: not yet. */
  unended?(command: string, count: number): boolean;
  /** The worker is lost. Told once, also when calls in flight were answered with the same fault. */
  lost?(fault: Fault): void;
}

/** What a loaded plugin offers. */
export interface Loaded {
  /** Names that it can be called by. */
  readonly commands: readonly string[];
  /** Whether it also takes names that are not listed (`onCommand`). */
  readonly open: boolean;
}

/** A message to the worker, before it has its number. */
type Request<M> = M extends { id: number } ? Omit<M, "id"> : never;
type Answer = Reply & { readonly loaded?: Loaded };

/** How soon a worker that should go asks again. */
const ASK_AGAIN_MS = 50;

/** One worker thread with one plugin in it. */
export class PluginWorker {
  readonly #worker: Worker;
  readonly #port: MessagePort | undefined;
  readonly #events: WorkerEvents;
  readonly #limits: WorkerLimits;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  /** Commands of the cancelled calls that are past their grace, by number. */
  readonly #stuck = new Map<number, string>();
  readonly #gone: Promise<void>;
  #lastId = 0;
  #fault: Fault | undefined;

  private constructor(sandboxed: boolean, limits: WorkerLimits, events: WorkerEvents, token: number | undefined) {
    this.#limits = limits;
    this.#events = events;
    const file = join(__dirname, sandboxed ? "../sandbox/entry.js" : "entry.js");
    this.#worker = new Worker(file, {
      ...(sandboxed ? { env: {} } : {}),
      argv: [],
      execArgv: [],
      // With the addon's guard a full heap ends this worker only; see native/heap.rs.
      workerData: token === undefined ? {} : { addon: addonPath, token, memoryMb: limits.memoryMb },
      stdin: false,
      // Nobody reads these: reading would keep the host's process alive. The entry sends lines instead.
      stdout: true,
      stderr: true,
      resourceLimits: limits.memoryMb === undefined ? {} : { maxOldGenerationSizeMb: limits.memoryMb },
    });
    this.#gone = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#watch();
    this.#tell(() => events.started?.(this));
    if (sandboxed) this.#worker.on("message", (text: unknown) => this.#receiveText(text));
    else this.#port = this.#greet();
  }

  /** Starts a worker; throws only if the system gives no further thread. */
  static start(kind: "module" | "sandbox", limits: WorkerLimits = {}, events: WorkerEvents = {}, token?: number): PluginWorker {
    return new PluginWorker(kind === "sandbox", limits, events, token);
  }

  /** Loads a module file; a failed load ends the worker. */
  loadModule(file: string, plugin: PluginContext, exportName?: string): Promise<Answer> {
    return this.#ask({ op: "module", file, plugin, exportName });
  }

  /** Loads a script into the sandbox; a failed load ends the worker. */
  loadScript(source: string, filename: string, plugin: PluginContext): Promise<Answer> {
    return this.#ask({ op: "plugin", source, filename, plugin });
  }

  /** Runs a snippet in the sandbox. */
  runScript(source: string, filename: string): Promise<Answer> {
    return this.#ask({ op: "script", source, filename });
  }

  /** As {@link runScript}, for a caller with a deadline. A snippet has nobody to be told, and the worker to itself. */
  beginScript(source: string, filename: string): Running {
    const answer = this.#ask({ op: "script", source, filename });
    const end = (): void => void this.stop();
    return { answer, expire: this.#expiry(this.#lastId), cancel: end, giveUp: end };
  }

  /** Calls a command. */
  begin(command: string, payload: unknown): Running {
    const answer = this.#ask({ op: "call", command, payload }, command);
    const id = this.#lastId;
    return {
      answer,
      expire: this.#expiry(id),
      cancel: () => this.#tell(() => this.#post({ op: "cancel", id })),
      giveUp: () => this.#giveUp(id, command),
    };
  }

  #giveUp(id: number, command: string): void {
    if (!this.#pending.has(id)) return;
    this.#stuck.set(id, command);
    this.#askToGo();
  }

  #askToGo(): void {
    const [command] = this.#stuck.values();
    if (command === undefined || this.#stuck.size < this.#pending.size) return;
    let goes = true;
    this.#tell(() => (goes = this.#events.unended?.(command, this.#stuck.size) ?? true));
    if (!goes) setTimeout(() => this.#askToGo(), ASK_AGAIN_MS).unref();
  }

  /** Ends the worker for a call that overstays: it is told the deadline, the others that they fell with it. */
  #expiry(id: number): (limitMs: number) => void {
    return (limitMs) => {
      const why = fault.deadline(limitMs);
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      pending?.({ ok: false, fault: why });
      this.#lose(why, fault.collateral(why));
    };
  }

  /** The heap is full: the addon has stopped the script where it was. */
  full(): void {
    this.#lose(fault.memory(this.#limits.memoryMb));
  }

  /** Lets the plugin say goodbye (`onShutdown`). */
  shutdown(): Promise<Answer> {
    return this.#ask({ op: "shutdown" });
  }

  /** Delivers an event that the plugin listens to. */
  deliver(event: string, payload: unknown): void {
    this.#tell(() => this.#post({ op: "event", event, payload }));
  }

  /** Whether the worker still takes calls. */
  get alive(): boolean {
    return this.#fault === undefined;
  }

  /** Ends the worker at once, whatever it is doing, and answers every call in flight with `why`. */
  stop(why: Fault = fault.cancelled()): Promise<void> {
    this.#lose(why);
    return this.#gone;
  }

  #greet(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const hello: Hello = { port: port2, resultBytes: (this.#limits.resultMb ?? 256) * 1024 * 1024 };
    this.#worker.postMessage(hello, [port2]);
    port1.on("message", (bytes: unknown) => this.#receiveBytes(bytes));
    return port1;
  }

  #watch(): void {
    this.#worker.on("error", (error: unknown) => {
      const code = (error as { code?: unknown } | undefined)?.code;
      if (code === "ERR_WORKER_OUT_OF_MEMORY") this.#lose(fault.memory(this.#limits.memoryMb));
      else if (code === "ERR_WORKER_INIT_FAILED") this.#lose(fault.thread("no further worker thread can be started"));
      else this.#lose(fault.crashed({ type: "Error", message: error instanceof Error ? error.message : "unknown" }));
    });
    this.#worker.on("exit", (code) => this.#lose(fault.exited(code)));
  }

  #lose(why: Fault, others: Fault = why): void {
    if (this.#fault) return;
    this.#fault = why;
    void this.#worker.terminate();
    this.#port?.close();
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const answer of waiting) answer({ ok: false, fault: others });
    this.#tell(() => this.#events.lost?.(why));
  }

  #ask(request: Request<ToSandbox> | Request<ToModule>, command = ""): Promise<Answer> {
    if (this.#fault) return Promise.resolve({ ok: false, fault: { ...this.#fault, effect: "not_started" } });
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#worker.ref();
      this.#port?.ref();
      this.#pending.set(id, (answer) => {
        const unknown = !answer.ok && answer.fault.code === "PW-REG-002";
        resolve(unknown ? { ok: false, fault: fault.unknown(command) } : answer);
      });
      try {
        this.#post({ ...request, id } as ToSandbox | ToModule);
      } catch (error) {
        const message = error instanceof Error ? error.message : "the arguments cannot be sent";
        this.#settle(id, { ok: false, fault: { code: "PW-ABI-007", message, effect: "not_started", fatal: false } });
      }
    });
  }

  #post(message: ToSandbox | ToModule | ToWorker): void {
    if (this.#fault) return;
    if (this.#port) this.#port.postMessage(serialize(message));
    else this.#worker.postMessage(jsonSafe(message));
  }

  #receiveText(text: unknown): void {
    if (typeof text !== "string") return;
    const messages = safeParse(text.slice(text.indexOf("|") + 1));
    if (Array.isArray(messages)) for (const message of messages) this.#claim(() => message as FromWorker);
  }

  #receiveBytes(bytes: unknown): void {
    if (bytes instanceof Uint8Array) this.#claim(() => deserialize(bytes) as FromWorker);
  }

  /** What a worker says may be ill-formed: then it has lost its senses, and the host has not. */
  #claim(read: () => FromWorker): void {
    try {
      this.#receive(read());
    } catch {
      this.#lose(fault.crashed({ type: "Error", message: "the worker sent a message that cannot be understood" }));
    }
  }

  #receive(message: FromWorker): void {
    switch (message?.op) {
      case "loaded":
        return this.#settle(message.id, { ok: true, value: undefined, loaded: { commands: strings(message.commands), open: message.open === true } });
      case "unloadable":
        return this.#settle(message.id, { ok: false, fault: fault.unloadable(message.step, message.thrown) });
      case "result":
        return this.#settle(message.id, { ok: true, value: message.value });
      case "threw":
        return this.#settle(message.id, { ok: false, fault: fault.threw(message.thrown) });
      case "unknown":
        return this.#settle(message.id, { ok: false, fault: fault.unknown("") });
      case "unserializable":
        return this.#settle(message.id, { ok: false, fault: fault.unserializable(String(message.message)) });
      case "crashed":
        return this.#lose(fault.crashed(message.thrown));
      case "log":
        this.#tell(() => this.#events.log?.(String(message.level), String(message.text)));
        return this.#post({ op: "credit", count: 1 });
      case "emit":
        this.#tell(() => this.#events.emit?.(String(message.event), message.payload));
        return this.#post({ op: "credit", count: 1 });
      case "listen":
      case "unlisten":
        return this.#tell(() => this.#events.listen?.(String(message.event), message.op === "listen"));
    }
  }

  #settle(id: number, answer: Answer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    this.#stuck.delete(id);
    pending?.(answer);
    this.#rest();
    if (!answer.ok && answer.fault.fatal) this.#lose(answer.fault);
    // Whoever waits for this answer has it by then.
    else if (this.#stuck.size > 0) setImmediate(() => this.#askToGo());
  }

  /** An idle plugin does not keep the host's process alive. One that ends does, until it has: somebody may wait for that. */
  #rest(): void {
    if (this.#pending.size > 0 || this.#fault) return;
    this.#worker.unref();
    this.#port?.unref();
  }

  #tell(report: () => void): void {
    try {
      report();
    } catch {
      // An owner's listener that raises, or a payload that cannot be sent, is not the worker's fault.
    }
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

/** A sandbox is sent plain JSON only, so that what fails to be that fails here, before it is sent. */
function jsonSafe<T>(message: T): T {
  return JSON.parse(JSON.stringify(message)) as T;
}
