/**
 * The TypeScript half of one runtime: answers the core's signals and runs the calls that the core
 * admits. It holds executors, which are code at work; states, counts and reasons are the core's.
 */
import { type BuildRequest, type BuildSite, type HostTools, type OwnedWorker, build, ownerOf } from "./builder";
import { CANCEL_GRACE_MS, Caller, cancelled, excused } from "./caller";
import { EventBus } from "./event_bus";
import type { CallOptions } from "./runtime";
import type { Finding } from "./finding";
import { type Executor, OPEN_TOOL, type Running, isRunning } from "./executor/executor";
import type { PluginHealth } from "./health";
import { Goodbyes } from "./goodbyes";
import { KeepAlive } from "./keep_alive";
import { Fact, loadAddon, type NativeEnded, type NativeRuntime, Refused, type Signal, workerPath } from "./native";
import { type ErrorValue, type Outcome, failure, outcomeOf } from "./outcome";
import { asValue, errorValue, fromNative, native, PlugwardError, textOf } from "./plugward_error";
import { fault, type Fault, type Reply } from "./worker/fault";

/** One log record of the core. */
export interface LogRecord {
  readonly unix_ms: number;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly plugin: string | null;
  readonly message: string;
  readonly code: string | null;
  readonly detail: string | null;
}

interface Waiting {
  resolve(text: string): void;
  reject(error: unknown): void;
}

/** @internal See the module's text. */
export class Door implements BuildSite {
  readonly native: NativeRuntime;
  readonly bus: EventBus;
  readonly workers = new Map<number, OwnedWorker>();
  readonly hosts = new Map<string, HostTools>();
  readonly configs = new Map<string, unknown>();
  readonly #executors = new Map<string, Map<number, Executor>>();
  readonly #goodbyes = new Goodbyes();
  #closed: Promise<void> | undefined;
  /** Numbers of the tools that the executors list; other names are not worth remembering. */
  readonly #routes = new Map<string, Map<string, number>>();
  /** Written by the addon: see `Fact`. Read before the next call of the addon. */
  readonly #facts = new Float64Array(4);
  readonly #waiting = new Map<number, Waiting>();
  readonly #probes = new Map<number, Running>();
  readonly #running = new Map<number, { running: Running; limitMs: number }>();
  readonly #progress = new Map<number, Progress>();
  /** Plugins whose next generation begins because a cancelled call would not end. */
  readonly #renewals = new Map<string, Promise<void>>();
  /** How many callers of a plugin wait for their turn. */
  readonly #queued = new Map<string, number>();
  readonly #alive = new KeepAlive();
  readonly #onLog: ((record: LogRecord) => void) | undefined;
  #lastId = 0;

  constructor(options: Record<string, unknown>, onLog?: (record: LogRecord) => void) {
    this.#onLog = onLog;
    const { NativeRuntime } = loadAddon();
    const signal = signalOf(new WeakRef(this));
    this.native = native(() => new NativeRuntime(JSON.stringify({ ...options, worker: [process.execPath, workerPath] }), onLog !== undefined, signal, this.#facts));
    this.bus = new EventBus({
      onFault: ({ event, what, error }) => this.native.log(null, "error", `a listener of "${event}" ${what}: ${textOf(error)}`),
    });
  }

  /** Starts work of the addon and waits for its `done`. */
  async ask(start: (id: number) => void): Promise<string> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#alive.hold();
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        start(id);
      });
    } catch (error) {
      throw fromNative(error);
    } finally {
      this.#waiting.delete(id);
      this.#alive.release();
    }
  }

  /** All findings about a manifest, which `asked` names as the addon wants it. */
  async check(asked: object, progress?: Progress): Promise<Finding[]> {
    const text = JSON.stringify({ ...asked, progress: progress !== undefined });
    let number = 0;
    try {
      const findings = await this.ask((id) => {
        number = id;
        if (progress) this.#progress.set(id, progress);
        this.native.check(id, text);
      });
      return JSON.parse(findings) as Finding[];
    } finally {
      this.#progress.delete(number);
    }
  }

  /** Calls a tool, whatever runs it. Never rejects. */
  async call<T>(plugin: string, tool: string, args: unknown, { deadlineMs, signal }: CallOptions = {}): Promise<Outcome<T>> {
    if (signal === undefined) return this.#call<T>({ plugin, tool, args, deadlineMs });
    try {
      if (signal.aborted) return cancelled(plugin, tool);
      const caller = new Caller(plugin, tool, signal);
      // A signal does not keep the event loop running; `AbortSignal.timeout` does not either.
      this.#alive.hold();
      const answer = this.#call<T>({ plugin, tool, args, deadlineMs, caller });
      return await Promise.race([answer, caller.left]).finally(() => {
        caller.release();
        this.#alive.release();
      });
    } catch (error) {
      return failure(plugin, tool, asValue(error));
    }
  }

  async #call<T>(asked: Asked): Promise<Outcome<T>> {
    const { plugin, tool } = asked;
    try {
      if (this.#renewals.has(plugin)) await this.#renewals.get(plugin);
      if (asked.caller?.hasLeft) return cancelled(plugin, tool);
      if (!this.#executors.has(plugin)) return await this.#callCore<T>(asked);
      const entered = this.#enter(asked);
      if (typeof entered === "number") return this.#run<T>(asked, this.#ticket(entered));
      if (entered === "full") return this.#run<T>(asked, await this.#enterLater(asked));
      const open = this.#openTool(plugin, entered);
      if (open !== undefined) return await this.#named<T>(asked, open);
      return failure(plugin, tool, entered);
    } catch (error) {
      return failure(plugin, tool, asValue(error));
    }
  }

  /** Calls an inline tool and answers at once; a tool that answers a promise is refused. */
  callSync<T>(plugin: string, tool: string, args: unknown, { deadlineMs, signal }: CallOptions = {}): Outcome<T> {
    const asked = { plugin, tool, args, deadlineMs };
    try {
      if (signal?.aborted) return cancelled(plugin, tool);
      if (!this.#executors.has(plugin) && this.#isElsewhere(plugin)) {
        return failure(plugin, tool, errorValue("PW-CALL-015", "the plugin runs in a process of its own: use call()"));
      }
      const entered = this.#enter(asked);
      if (entered === "full") return failure(plugin, tool, errorValue("PW-CALL-009"));
      if (typeof entered !== "number") return failure(plugin, tool, entered);
      const ticket = this.#ticket(entered);
      const reply = this.#invoke(asked, ticket.generation);
      if (!isRunning(reply)) return this.#close<T>(asked, ticket, reply);
      return this.#close<T>(asked, ticket, { ok: false, fault: fault.unserializable("the tool is asynchronous: use call()") });
    } catch (error) {
      return failure(plugin, tool, asValue(error));
    }
  }

  /** Ends a plugin and forgets it; its goodbye begins. */
  unload(plugin: string): void {
    this.native.unload(plugin);
    this.#stopAll(plugin);
  }

  /** Waits until a plugin that was stopped or unloaded has said goodbye. */
  left(plugin: string): Promise<void> {
    return this.#goodbyes.ended(plugin);
  }

  /** Takes no further calls, and stops everything that runs: what depends on others before them. */
  close(): Promise<void> {
    return (this.#closed ??= this.#closeAll());
  }

  async #closeAll(): Promise<void> {
    await this.ask((id) => {
      if (!this.native.close(id)) this.#waiting.get(id)?.resolve("");
    });
    for (const plugin of this.#executors.keys()) this.#stopAll(plugin);
    await this.#goodbyes.ended();
    await Promise.all([...this.workers.values()].map(({ worker }) => worker.stop()));
  }

  /** A worker was lost by its plugin's doing. */
  lost(plugin: string, generation: number, why: Fault): void {
    try {
      this.native.fail(plugin, generation, JSON.stringify(why));
    } catch {
      // Unloaded meanwhile: there is nothing left to fail.
    }
  }

  /**
   * The next generation begins in place of one whose worker a cancelled call will not leave. The plugin has not failed: its
   * callers wait for it. Not while a call was admitted, or is about to be, that its worker does not know of yet.
   */
  unended(plugin: string, generation: number, command: string, count: number, room: number): boolean {
    if (this.#renewals.has(plugin)) return true;
    if (room > 0 && this.#queued.has(plugin)) return false;
    if (this.#inFlight(plugin) > count) return false;
    const why = fault.unended(command);
    this.native.log(plugin, "warn", `${why.message}; the next generation begins`);
    const renewal = this.#renew(plugin, generation).catch(() => {
      this.lost(plugin, generation, why);
      void this.#stop({ plugin, generation });
    });
    this.#renewals.set(plugin, renewal.finally(() => this.#renewals.delete(plugin)));
    return true;
  }

  #inFlight(plugin: string): number {
    const health = this.native.pluginHealth(plugin);
    return health === null ? 0 : (JSON.parse(health) as PluginHealth).in_flight;
  }

  async #renew(plugin: string, generation: number): Promise<void> {
    const latest = Math.max(...(this.#executors.get(plugin)?.keys() ?? []));
    // One that was replaced already only has to go.
    if (latest > generation) void this.#stop({ plugin, generation });
    else await this.ask((id) => this.native.restart(id, plugin));
  }

  /** @internal What the addon says. */
  signal(kind: string, id: number, payload: string): void {
    if (kind === "done") this.#waiting.get(id)?.resolve(payload);
    else if (kind === "error") this.#waiting.get(id)?.reject(new Error(payload));
    else if (kind === "build") void this.#build(id, JSON.parse(payload) as BuildRequest);
    else if (kind === "call") void this.#probe(id, JSON.parse(payload) as ProbeRequest);
    else if (kind === "cancel") this.#probes.get(id)?.cancel();
    else if (kind === "progress") this.#report(id, payload);
    else if (kind === "stop") void this.#stop(JSON.parse(payload) as Which).then(() => this.#answer(id, { value: null }));
    else if (kind === "deadline") this.#expire(id);
    else if (kind === "heap") this.workers.get(id)?.worker.full();
    else if (kind === "log") this.#log(payload);
  }

  async #build(id: number, request: BuildRequest): Promise<void> {
    const { name } = request.manifest;
    const built = await build(this, request);
    if ("fault" in built) return void this.#answer(id, { fault: built.fault });
    const { executor } = built;
    const generations = this.#executors.get(name) ?? new Map<number, Executor>();
    this.#executors.set(name, generations.set(request.generation, executor));
    this.#learn(name, executor);
    // A load that took too long has been given up: what it made goes again.
    if (!this.#answer(id, { tools: executor.tools ?? [] })) void this.#stop({ plugin: name, generation: request.generation });
  }

  async #probe(id: number, request: ProbeRequest): Promise<void> {
    const executor = this.#executors.get(request.plugin)?.get(request.generation);
    const reply = executor ? executor.invoke(request.tool, request.args) : ({ ok: false, fault: fault.cancelled() } as const);
    if (isRunning(reply)) this.#probes.set(id, reply);
    const done = isRunning(reply) ? await reply.answer : reply;
    this.#probes.delete(id);
    this.#answer(id, done.ok ? { value: done.value ?? null } : { fault: done.fault });
  }

  #answer(id: number, answer: unknown): boolean {
    try {
      return this.native.answer(id, JSON.stringify(answer));
    } catch (error) {
      return this.native.answer(id, JSON.stringify({ fault: fault.unserializable(textOf(error)) }));
    }
  }

  /** Ends a generation, and waits until it has said goodbye. */
  async #stop({ plugin, generation }: Which): Promise<void> {
    const generations = this.#executors.get(plugin);
    const executor = generations?.get(generation);
    generations?.delete(generation);
    if (generations?.size === 0) this.#executors.delete(plugin);
    if (executor) return this.#goodbyes.begin(plugin, generation, executor);
    const goodbye = this.#goodbyes.of(plugin, generation);
    if (goodbye) return goodbye;
    // It was not built to its end.
    for (const { worker, owner } of this.workers.values()) if (owner === ownerOf(plugin, generation)) void worker.stop();
  }

  #stopAll(plugin: string): void {
    for (const generation of this.#executors.get(plugin)?.keys() ?? []) void this.#stop({ plugin, generation });
  }

  #expire(callId: number): void {
    const late = this.#running.get(callId);
    late?.running.expire(late.limitMs);
  }

  #report(id: number, payload: string): void {
    try {
      const { path, done, total } = JSON.parse(payload) as { path: string; done: number; total: number };
      this.#progress.get(id)?.(path, done, total);
    } catch {
      // What it throws is the callback's own affair.
    }
  }

  #log(payload: string): void {
    try {
      this.#onLog?.(JSON.parse(payload) as LogRecord);
    } catch {
      // A log sink that raises must not end the host; the core keeps the latest records in a ring.
    }
  }

  /** Asks for admission: the call's number, or why not. */
  #enter({ plugin, tool, args, deadlineMs }: Asked): number | "full" | ErrorValue {
    let entered = this.#admission(plugin, tool, deadlineMs);
    if (entered === Refused.needsArgs) entered = this.#admission(plugin, tool, deadlineMs, jsonOf(args));
    if (entered >= 0) return entered;
    if (entered === Refused.full) return "full";
    return JSON.parse(this.native.takeError() ?? "{}") as ErrorValue;
  }

  #admission(plugin: string, tool: string, deadlineMs: number | undefined, args?: string): number {
    const route = this.#routes.get(plugin)?.get(tool);
    const limit = deadlineOf(deadlineMs);
    return route === undefined ? this.native.enterNamed(plugin, tool, limit, args) : this.native.enter(route, limit, args);
  }

  #ticket(call: number): Ticket {
    const facts = this.#facts;
    return { call, callId: facts[Fact.callId] as number, limitMs: facts[Fact.limitMs] as number, generation: facts[Fact.generation] as number };
  }

  async #enterLater({ plugin, tool, deadlineMs }: Asked): Promise<Ticket> {
    let asked = 0;
    this.#queued.set(plugin, (this.#queued.get(plugin) ?? 0) + 1);
    try {
      await this.ask((id) => this.native.enterLater((asked = id), plugin, tool, deadlineOf(deadlineMs)));
    } finally {
      const left = (this.#queued.get(plugin) ?? 1) - 1;
      if (left > 0) this.#queued.set(plugin, left);
      else this.#queued.delete(plugin);
    }
    const call = this.native.takeTicket(asked);
    if (call === null) throw new Error("the ticket that was waited for is not there");
    return this.#ticket(call);
  }

  #learn(plugin: string, executor: Executor): void {
    const routes = this.#routes.get(plugin) ?? new Map<string, number>();
    this.#routes.set(plugin, routes);
    for (const { id } of executor.tools ?? []) if (!routes.has(id)) routes.set(id, this.native.route(plugin, id));
  }

  #isElsewhere(plugin: string): boolean {
    const health = this.native.pluginHealth(plugin);
    return health !== null && (JSON.parse(health) as PluginHealth).isolation === "process";
  }

  #openTool(plugin: string, error: ErrorValue): string | undefined {
    if (error.code !== "PW-REG-002") return undefined;
    const generations = [...(this.#executors.get(plugin)?.values() ?? [])];
    return generations.at(-1)?.openTool;
  }

  async #named<T>(asked: Asked, open: string): Promise<Outcome<T>> {
    const { tool, args } = asked;
    const outcome = await this.#call<T>({ ...asked, tool: open, args: { command: tool, payload: args } });
    return { ...outcome, tool };
  }

  #invoke({ plugin, tool, args }: Asked, generation: number): Reply | Running {
    const executor = this.#executors.get(plugin)?.get(generation);
    return executor ? executor.invoke(tool, args) : { ok: false, fault: fault.cancelled() };
  }

  #run<T>(asked: Asked, ticket: Ticket): Outcome<T> | Promise<Outcome<T>> {
    // Its turn came when its caller had left: nothing of it has begun.
    if (asked.caller?.hasLeft) return this.#close<T>(asked, ticket, { ok: false, fault: fault.cancelled() });
    const reply = this.#invoke(asked, ticket.generation);
    return isRunning(reply) ? this.#wait<T>(asked, ticket, reply) : this.#close<T>(asked, ticket, reply);
  }

  async #wait<T>(asked: Asked, ticket: Ticket, running: Running): Promise<Outcome<T>> {
    const { callId, limitMs, generation } = ticket;
    const { caller } = asked;
    caller?.entered(() => this.#leave(caller, ticket, running), generation, callId);
    if (limitMs > 0) {
      this.#running.set(callId, { running, limitMs });
      this.#alive.hold();
    }
    try {
      const reply = await running.answer;
      return this.#close<T>(asked, ticket, caller?.hasLeft ? excused(reply) : reply);
    } finally {
      if (this.#running.delete(callId)) this.#alive.release();
    }
  }

  /** The plugin is told, and has a moment to end the call; no longer than the call's deadline. */
  #leave(caller: Caller, { call, limitMs }: Ticket, running: Running): void {
    this.native.pardon(call);
    running.cancel();
    const left = limitMs > 0 ? limitMs - caller.elapsedMs : CANCEL_GRACE_MS;
    const timer = setTimeout(running.giveUp, Math.max(0, Math.min(left, CANCEL_GRACE_MS)));
    void running.answer.then(() => clearTimeout(timer));
  }

  #close<T>({ plugin, tool }: Asked, ticket: Ticket, reply: Reply): Outcome<T> {
    const ended = this.#end(ticket.call, reply);
    if (ended) return outcomeOf(plugin, tool, ended, undefined as T);
    const result = (reply.ok ? reply.value : undefined) as T;
    const elapsed_ms = this.#facts[Fact.elapsedMs] as number;
    return { ok: true, result, plugin, tool, effect: "completed", elapsed_ms, generation: ticket.generation, call_id: ticket.callId };
  }

  /** Nothing when all was well. */
  #end(call: number, reply: Reply): NativeEnded | null {
    if (!reply.ok) return this.native.fault(call, JSON.stringify(reply.fault));
    if (call % 2 === 0) return this.native.succeed(call);
    let text: string;
    try {
      text = JSON.stringify(reply.value) ?? "null";
    } catch (error) {
      return this.native.fault(call, JSON.stringify(fault.unserializable(textOf(error))));
    }
    return this.native.succeed(call, text);
  }

  async #callCore<T>(asked: Asked): Promise<Outcome<T>> {
    const { plugin, tool, args } = asked;
    const ask = async (name: string, given: unknown): Promise<Outcome<T>> => JSON.parse(await this.#askCore(asked, name, jsonOf(given))) as Outcome<T>;
    const outcome = await ask(tool, args);
    if (outcome.ok || outcome.code !== "PW-REG-002" || this.native.kindOf(plugin) !== "node") return outcome;
    // A plugin in a worker process that takes any command lists that one tool.
    const open = await ask(OPEN_TOOL, { command: tool, payload: args });
    return !open.ok && open.code === "PW-REG-002" ? outcome : { ...open, tool };
  }

  async #askCore({ plugin, deadlineMs, caller }: Asked, tool: string, args: string): Promise<string> {
    if (!caller) return this.ask((id) => this.native.call(id, plugin, tool, args, deadlineOf(deadlineMs), false));
    let number = 0;
    try {
      return await this.ask((id) => {
        number = id;
        this.native.call(id, plugin, tool, args, deadlineOf(deadlineMs), true);
        caller.entered(() => this.#leaveCore(id));
      });
    } finally {
      this.native.forget(number);
    }
  }

  /** The core answers no more: who waits for it is answered here. */
  #leaveCore(id: number): void {
    this.native.leave(id);
    this.#waiting.get(id)?.reject(new PlugwardError(errorValue("PW-CALL-013")));
  }
}

/** Told how far the reading of a large file is. */
type Progress = (path: string, done: number, total: number) => void;

/** What somebody asks for. */
interface Asked {
  readonly plugin: string;
  readonly tool: string;
  readonly args: unknown;
  readonly deadlineMs?: number | undefined;
  /** Where it may leave before the end. */
  readonly caller?: Caller;
}

/** The addon holds the function for ever; a weak reference, in a scope of its own, lets a forgotten runtime go. */
function signalOf(door: WeakRef<Door>): Signal {
  return (kind, id, payload) => door.deref()?.signal(kind, id, payload);
}

interface Which {
  readonly plugin: string;
  readonly generation: number;
}

interface ProbeRequest extends Which {
  readonly tool: string;
  readonly args: unknown;
}

/** A call that was admitted. */
interface Ticket {
  readonly call: number;
  readonly callId: number;
  readonly limitMs: number;
  readonly generation: number;
}

/** 0 stands for "the plugin's own"; a deadline of 0 that somebody asks for must still be refused. */
function deadlineOf(deadlineMs: number | undefined): number {
  if (deadlineMs === undefined) return 0;
  return deadlineMs === 0 ? -1 : deadlineMs;
}

function jsonOf(args: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(args ?? {});
  } catch (error) {
    throw new TypeError(`the arguments have no JSON form: ${textOf(error)}`);
  }
  return text ?? "{}";
}
