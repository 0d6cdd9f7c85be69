/** One instance of Plugward in this process. */
import { resolve } from "node:path";
import { BARE } from "./builder";
import { Door, type LogRecord } from "./door";
import type { EventBus } from "./event_bus";
import type { ToolSpec } from "./executor/executor";
import type { Handler } from "./executor/inline";
import type { Finding } from "./finding";
import type { HealthSource, PluginHealth, Summary } from "./health";
import type { ErrorValue, Outcome } from "./outcome";
import { fromNative, native } from "./plugward_error";
import { runSnippet } from "./snippet";
import { fault } from "./worker/fault";

/** How a runtime is set up. */
export interface RuntimeOptions {
  /** How long a change of the registry may wait for its lock; default 1000. */
  readonly lockTimeoutMs?: number;
  /** How long import, construction and validation of one plugin may take; default 60000. */
  readonly loadTimeoutMs?: number;
  /** Deadline of calls where neither call, tool nor plugin names one; default none. */
  readonly defaultDeadlineMs?: number;
  /** Log records that may wait for `onLog`; default 1024. */
  readonly logQueue?: number;
  /** Takes the runtime's log records. One that throws is ignored. */
  readonly onLog?: (record: LogRecord) => void;
}

/** How a load or restart went. A plugin's fault is in here; it is never a rejection. */
export interface LoadReport {
  readonly name: string;
  readonly state: PluginHealth["state"];
  readonly generation: number;
  readonly error: ErrorValue | null;
  readonly findings: readonly Finding[];
  readonly assumptions: readonly { readonly key: string; readonly message: string }[];
  readonly took_ms: number;
}

/** One tool of a {@link HostPlugin}: a function, or a function with its description. */
export type HostTool =
  | Handler
  | {
      readonly handler: Handler;
      readonly description?: string;
      readonly input_schema?: unknown;
      readonly output_schema?: unknown;
      readonly deadline_ms?: number;
    };

/** A plugin whose functions are in memory already. It runs inline: on this thread. */
export interface HostPlugin {
  readonly name: string;
  readonly version?: string;
  readonly description?: string;
  readonly tools: Readonly<Record<string, HostTool>>;
  /** Says whether it is fit; false or an exception fails the load. */
  readonly validate?: () => unknown;
  readonly onShutdown?: () => unknown;
  readonly limits?: { readonly deadline_ms?: number; readonly concurrency?: number; readonly queue?: number };
  readonly fails_on?: "exception" | "crash";
  readonly error_field?: string;
}

/** Options of one call. */
export interface CallOptions {
  /** From now; else the tool's, the plugin's, the runtime's. */
  readonly deadlineMs?: number;
  /**
   * Cancels the call when it is aborted: the outcome is `PW-CALL-013` at once. The tool hears of it through its own signal, the
   * second argument; what has not ended a second later is ended with its worker, as soon as no other call runs there. The plugin
   * is not blamed. A signal that is aborted already begins nothing.
   */
  readonly signal?: AbortSignal;
}

/** How {@link Runtime.check} looks. */
export interface CheckOptions {
  /** The folder that the paths of a manifest given as an object are relative to; default the working directory. */
  readonly dir?: string;
  /**
   * Also imports every package that is there, each in a process of its own: one whose import throws, crashes or hangs is a finding.
   * For plugins of kind `node`: of others this door does not look at packages, and a finding says so.
   */
  readonly deep?: boolean;
  /** How long one import of `deep` may take; default 60000. */
  readonly importTimeoutMs?: number;
  /** Told how far the reading of a large model is, in bytes. One that throws is ignored. */
  readonly progress?: (path: string, done: number, total: number) => void;
}

/** What can happen to a plugin that the host executes itself. */
export type MarkEvent = "ready" | "call_began" | "call_ended" | "fault" | "dependency_missing" | "restart";

/** A manifest as an object; `docs/manifest.schema.json` describes it. */
export type ManifestObject = { readonly name: string } & Readonly<Record<string, unknown>>;

/** @internal How {@link Runtime.loadManifest} reads a manifest. */
export interface ManifestOptions {
  /** The folder that its paths are relative to; default the working directory. */
  readonly dir?: string;
  /** What was assumed, to be reported with the plugin. */
  readonly assumptions?: readonly (readonly [string, string])[];
  /** Whether the entrypoint is a script that nobody described: it is sandboxed whatever it holds. */
  readonly bare?: boolean;
  /** The third argument of the plugin's `init`. */
  readonly config?: unknown;
}

let tags = 0;

/** One instance of Plugward: registry, calls, health, logs. */
export class Runtime implements HealthSource {
  /** Events between the host and its plugins. */
  readonly events: EventBus;
  readonly #door: Door;
  /** Tags of the plugins whose functions or configuration the door keeps for their restarts. */
  readonly #tags = new Map<string, string>();

  constructor(options: RuntimeOptions = {}) {
    const { onLog, ...rest } = options;
    this.#door = new Door(rest, onLog);
    this.events = this.#door.bus;
  }

  /** Loads a manifest, a plugin's folder or a folder of them by its path, or a plugin from memory. Never rejects for a plugin's fault. */
  async load(source: string): Promise<LoadReport[]>;
  async load(source: HostPlugin | ManifestObject): Promise<LoadReport>;
  async load(source: string | HostPlugin | ManifestObject): Promise<LoadReport[] | LoadReport> {
    if (typeof source === "string") {
      const text = await this.#door.ask((id) => this.#door.native.loadPath(id, resolve(source)));
      return JSON.parse(text) as LoadReport[];
    }
    return isHostPlugin(source) ? this.#loadHost(source) : this.loadManifest(source);
  }

  /** @internal Loads a manifest given as an object. */
  async loadManifest(manifest: ManifestObject, options: ManifestOptions = {}): Promise<LoadReport> {
    const { dir = process.cwd(), assumptions = [], bare = false, config } = options;
    tags += 1;
    const tag = `${bare ? BARE : "file:"}${tags}`;
    if (config !== undefined) this.#door.configs.set(tag, config);
    const javascript = bare || config !== undefined ? tag : null;
    const report = await this.#load(manifest, dir, javascript, assumptions);
    if (report.generation === 0) this.#door.configs.delete(tag);
    else this.#tags.set(manifest.name, tag);
    return report;
  }

  /**
   * All findings about a manifest: its path or its plugin's folder, or the manifest itself. Nothing is loaded, and nothing is
   * imported but by `deep`. Rejects for a manifest that cannot be read.
   */
  async check(source: string | ManifestObject, options: CheckOptions = {}): Promise<Finding[]> {
    const { deep = false, importTimeoutMs = 60_000, progress } = options;
    const which = typeof source === "string" ? { path: resolve(source) } : { manifest: JSON.stringify(source), dir: resolve(options.dir ?? ".") };
    return this.#door.check({ ...which, ...(deep ? { program: process.execPath } : {}), importTimeoutMs }, progress);
  }

  /** @internal Reads a manifest without loading it. */
  parse(path: string): { manifest: ManifestObject; assumptions: { key: string; message: string }[]; dir: string | null } {
    return JSON.parse(native(() => this.#door.native.parse(path))) as ReturnType<Runtime["parse"]>;
  }

  /** @internal Lists a plugin that cannot be loaded, as FAILED with its reason. */
  loadBroken(name: string, code: string, message: string): LoadReport {
    const why = { ...fault.cancelled(), code, message };
    return JSON.parse(native(() => this.#door.native.loadBroken(name, JSON.stringify(why)))) as LoadReport;
  }

  /** Begins a plugin's next generation. Rejects for an unknown name; a fault of the plugin is in the report. */
  async restart(name: string): Promise<LoadReport> {
    return JSON.parse(await this.#door.ask((id) => this.#door.native.restart(id, name))) as LoadReport;
  }

  /**
   * Puts a new generation in the place of the present one without losing a call; the manifest is read again where it came from
   * a file. Where the new version does not come up, the old one serves as before and the report says why.
   */
  async reload(name: string): Promise<LoadReport> {
    return JSON.parse(await this.#door.ask((id) => this.#door.native.reload(id, name))) as LoadReport;
  }

  /**
   * Stops a plugin in good order: calls under way may end, it says goodbye (at most half a second), it stays listed, and
   * {@link restart} or {@link reload} starts it again.
   */
  async stop(name: string): Promise<LoadReport> {
    return JSON.parse(await this.#door.ask((id) => this.#door.native.stop(id, name))) as LoadReport;
  }

  /** Ends a plugin and forgets it; its goodbye is not waited for. Throws for an unknown name. */
  unload(name: string): void {
    native(() => this.#door.unload(name));
    this.#forget(name);
  }

  /** @internal Waits until a plugin that was unloaded has said goodbye. */
  left(name: string): Promise<void> {
    return this.#door.left(name);
  }

  /** Calls a tool. Never rejects and never throws. */
  call<T = unknown>(plugin: string, tool: string, args: unknown = {}, options: CallOptions = {}): Promise<Outcome<T>> {
    return this.#door.call<T>(plugin, tool, args, options);
  }

  /** @internal As {@link call}, with whatever payload there is, nothing included. */
  command(plugin: string, command: string, payload: unknown, options: CallOptions = {}): Promise<Outcome> {
    return this.#door.call(plugin, command, payload, options);
  }

  /** @internal Runs a snippet in a sandbox of its own. */
  async runScript(code: string, deadlineMs: number, memoryMb: number, signal?: AbortSignal): Promise<Outcome> {
    return runSnippet(this.#door, code, deadlineMs, memoryMb, signal);
  }

  /** Calls a synchronous inline tool and answers at once. Never throws. Of a signal it matters whether it is aborted already. */
  callSync<T = unknown>(plugin: string, tool: string, args: unknown = {}, options: CallOptions = {}): Outcome<T> {
    return this.#door.callSync<T>(plugin, tool, args, options);
  }

  /** Lists a plugin that the host executes itself; its state then follows {@link mark}. Throws for a name that is taken. */
  register(name: string, description = "", version = ""): void {
    native(() => this.#door.native.register(name, description, version));
  }

  /** Says what happened to such a plugin and answers its state; throws where the table of states says no. */
  mark(name: string, event: MarkEvent, reason = ""): PluginHealth["state"] {
    return native(() => this.#door.native.mark(name, event, reason)) as PluginHealth["state"];
  }

  /** Counts one execution of such a plugin. Throws for an unknown name. */
  record(name: string, ok: boolean, elapsedMs?: number): void {
    native(() => this.#door.native.record(name, ok, elapsedMs));
  }

  /** Health of every plugin, sorted by name. */
  health(): PluginHealth[] {
    return JSON.parse(this.healthJson()) as PluginHealth[];
  }

  /** Health of one plugin, if it is there. */
  pluginHealth(name: string): PluginHealth | undefined {
    const text = this.pluginHealthJson(name);
    return text === undefined ? undefined : (JSON.parse(text) as PluginHealth);
  }

  /** Counts by state, and readiness. */
  summary(): Summary {
    return JSON.parse(this.summaryJson()) as Summary;
  }

  /** {@link health} as JSON text. */
  healthJson(): string {
    return this.#door.native.health();
  }

  /** {@link pluginHealth} as JSON text. */
  pluginHealthJson(name: string): string | undefined {
    return this.#door.native.pluginHealth(name) ?? undefined;
  }

  /** {@link summary} as JSON text. */
  summaryJson(): string {
    return this.#door.native.summary();
  }

  /** All figures as OpenMetrics text. */
  metricsText(): string {
    return this.#door.native.metrics();
  }

  /** The latest log records, oldest first. */
  recentLogs(): LogRecord[] {
    return JSON.parse(this.#door.native.recentLogs()) as LogRecord[];
  }

  /**
   * Takes no further calls, lets every plugin say goodbye (at most half a second) and ends all workers: of two that depend on one
   * another the dependant first.
   */
  close(): Promise<void> {
    return this.#door.close();
  }

  #forget(name: string): void {
    const tag = this.#tags.get(name) ?? "";
    this.#tags.delete(name);
    this.#door.hosts.delete(tag);
    this.#door.configs.delete(tag);
  }

  async #loadHost(plugin: HostPlugin): Promise<LoadReport> {
    tags += 1;
    const tag = `host:${tags}`;
    const entries = Object.entries(plugin.tools);
    const specs = entries.map(([id, tool]): ToolSpec => ({ id, ...described(tool) }));
    const handlers = new Map(entries.map(([id, tool]): [string, Handler] => [id, handlerOf(tool)]));
    this.#door.hosts.set(tag, { specs, handlers, validate: plugin.validate?.bind(plugin), goodbye: plugin.onShutdown?.bind(plugin) });
    const { name, version, description, limits, fails_on, error_field } = plugin;
    const given = { name, version, description, limits, fails_on, error_field };
    const manifest = JSON.parse(JSON.stringify({ ...given, kind: "host", isolation: "inline" })) as ManifestObject;
    const report = await this.#load(manifest, null, tag, []);
    if (report.generation === 0) this.#door.hosts.delete(tag);
    else this.#tags.set(name, tag);
    return report;
  }

  async #load(manifest: ManifestObject, dir: string | null, tag: string | null, assumptions: readonly (readonly [string, string])[]): Promise<LoadReport> {
    const { native: addon } = this.#door;
    const text = JSON.stringify(manifest);
    try {
      return JSON.parse(await this.#door.ask((id) => addon.loadManifest(id, text, dir, tag, JSON.stringify(assumptions)))) as LoadReport;
    } catch (error) {
      const known = fromNative(error) as { code?: string; message?: string };
      if (!known.code?.startsWith("PW-MAN-")) throw known;
      return this.loadBroken(String(manifest.name), known.code, String(known.message));
    }
  }
}

function isHostPlugin(source: HostPlugin | ManifestObject): source is HostPlugin {
  const tools = (source as HostPlugin).tools as unknown;
  if (typeof tools !== "object" || tools === null || Array.isArray(tools)) return false;
  return Object.values(tools).some((tool) => typeof tool === "function" || typeof (tool as { handler?: unknown })?.handler === "function");
}

function handlerOf(tool: HostTool): Handler {
  return typeof tool === "function" ? tool : tool.handler;
}

function described(tool: HostTool): Partial<ToolSpec> {
  if (typeof tool === "function") return {};
  const { description, input_schema, output_schema, deadline_ms } = tool;
  return JSON.parse(JSON.stringify({ description, input_schema, output_schema, deadline_ms })) as Partial<ToolSpec>;
}
