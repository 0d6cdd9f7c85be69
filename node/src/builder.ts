/** Builds the executor of a generation when the core asks for it. */
import { pathToFileURL } from "node:url";
import type { EventBus } from "./event_bus";
import { resolveEntrypoint } from "./entrypoint";
import type { BuiltExecutor, Executor, ToolSpec } from "./executor/executor";
import { type Handler, InlineExecutor, buildInline } from "./executor/inline";
import { buildWorker } from "./executor/worker";
import type { NativeRuntime } from "./native";
import { fault, type Fault } from "./worker/fault";
import { PluginWorker, type WorkerEvents, type WorkerLimits } from "./worker/plugin_worker";

/** What the core asks for. */
export interface BuildRequest {
  readonly manifest: {
    readonly name: string;
    readonly kind: string;
    readonly entrypoint: string;
    readonly isolation?: string | null;
    readonly limits: { readonly memory_mb?: number | null; readonly result_mb?: number | null };
    readonly tools: readonly ToolSpec[];
  };
  readonly dir: string | null;
  readonly generation: number;
  /** How many calls run at once. */
  readonly concurrency: number;
  readonly tag: string;
}

/** Functions that the host already has in memory. */
export interface HostTools {
  readonly specs: readonly ToolSpec[];
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly validate?: (() => unknown) | undefined;
  readonly goodbye?: (() => unknown) | undefined;
}

/** A worker, and the generation that it works for; a snippet's has none. */
export interface OwnedWorker {
  readonly worker: PluginWorker;
  readonly owner: string | undefined;
}

/** Names a generation. */
export function ownerOf(plugin: string, generation: number): string {
  return `${plugin}#${generation}`;
}

/** What a build needs of its runtime. */
export interface BuildSite {
  readonly native: Pick<NativeRuntime, "log" | "expectWorker" | "forgetWorker">;
  readonly bus: EventBus;
  /** Workers by their token, so that a full heap finds its worker. */
  readonly workers: Map<number, OwnedWorker>;
  /** Tools of host plugins by tag. */
  readonly hosts: Map<string, HostTools>;
  /** Configuration by tag, the third argument of `init`. */
  readonly configs: Map<string, unknown>;
  lost(plugin: string, generation: number, why: Fault): void;
  /** Only `count` cancelled calls, one of them of `command`, run in the generation's worker, and would not end; `room` is for how many further ones. False: it stays for now. */
  unended(plugin: string, generation: number, command: string, count: number, room: number): boolean;
}

/** The tag of a plugin without a manifest: a bare script. */
export const BARE = "bare:";
/** Heap of a worker where the manifest names none, in megabytes. */
export const DEFAULT_HEAP_MB = 256;

let tokens = 0;

/** Builds; never rejects. */
export async function build(site: BuildSite, request: BuildRequest): Promise<BuiltExecutor> {
  try {
    const host = site.hosts.get(request.tag);
    if (host) return await buildHost(host);
    return await buildFile(site, request);
  } catch (error) {
    return { fault: fault.unreadable(error instanceof Error ? error.message : String(error)) };
  }
}

async function buildHost(host: HostTools): Promise<BuiltExecutor> {
  if ((await host.validate?.()) === false) {
    return { fault: fault.unloadable("validate", { type: "Error", message: "validate() returned false" }) };
  }
  return { executor: new InlineExecutor(host.specs, (tool) => host.handlers.get(tool), host.goodbye) };
}

async function buildFile(site: BuildSite, request: BuildRequest): Promise<BuiltExecutor> {
  const { manifest, generation, tag } = request;
  const entry = await resolveEntrypoint(manifest.entrypoint, request.dir, tag.startsWith(BARE));
  const plugin = { name: manifest.name, config: site.configs.get(tag) ?? {} };
  const log = (level: string, text: string): void => site.native.log(manifest.name, level, text);
  // In a process of its own a module has the process to itself.
  const onThisThread = manifest.isolation === "inline" || manifest.isolation === "process";
  const built =
    onThisThread && !entry.sandboxed
      ? await importInline(entry.file, entry.exportName, plugin, log)
      : await inWorker(site, request, { ...entry, plugin }, log, generation);
  return withManifestTools(built, manifest.tools);
}

async function importInline(
  file: string,
  exportName: string | undefined,
  plugin: { name: string; config: unknown },
  log: (level: string, text: string) => void,
): Promise<BuiltExecutor> {
  try {
    const found = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    return await buildInline(exportName === undefined ? found : found[exportName], plugin, log);
  } catch (error) {
    const message = error instanceof Error ? error.message : "it threw something that is no error";
    return { fault: fault.unloadable("import", { type: "Error", message }) };
  }
}

function inWorker(
  site: BuildSite,
  { manifest, concurrency }: BuildRequest,
  entry: { file: string; exportName?: string | undefined; sandboxed: boolean; plugin: { name: string; config: unknown } },
  log: (level: string, text: string) => void,
  generation: number,
): Promise<BuiltExecutor> {
  const limits = { memoryMb: manifest.limits.memory_mb ?? DEFAULT_HEAP_MB, resultMb: manifest.limits.result_mb ?? undefined };
  return buildWorker(entry, {
    bus: site.bus,
    log,
    start: (events) => startWorker(site, entry.sandboxed ? "sandbox" : "module", limits, events, ownerOf(manifest.name, generation)),
    lost: (why) => site.lost(manifest.name, generation, why),
    unended: (command, count) => site.unended(manifest.name, generation, command, count, concurrency - count),
  });
}

/** Starts a worker that the addon knows, so that a full heap ends it alone. */
export function startWorker(
  site: Pick<BuildSite, "native" | "workers">,
  kind: "module" | "sandbox",
  limits: WorkerLimits,
  events: WorkerEvents = {},
  owner?: string,
): PluginWorker | { readonly fault: Fault } {
  tokens += 1;
  const token = tokens;
  const lost = (why: Fault): void => {
    site.workers.delete(token);
    site.native.forgetWorker(token);
    events.lost?.(why);
  };
  try {
    site.native.expectWorker(token);
    const worker = PluginWorker.start(kind, limits, { ...events, lost }, token);
    if (worker.alive) site.workers.set(token, { worker, owner });
    return worker;
  } catch (error) {
    site.native.forgetWorker(token);
    return { fault: fault.thread(error instanceof Error ? error.message : "no worker can be started") };
  }
}

/** The manifest describes its tools better than the code's method names do; both are callable. */
function withManifestTools(built: BuiltExecutor, described: readonly ToolSpec[]): BuiltExecutor {
  if (!("executor" in built) || described.length === 0) return built;
  const known = new Set(described.map((tool) => tool.id));
  const tools = [...described, ...(built.executor.tools ?? []).filter((tool) => !known.has(tool.id))];
  const { executor } = built;
  const invoke = (tool: string, args: unknown): ReturnType<Executor["invoke"]> => executor.invoke(tool, args);
  return { executor: { tools, openTool: executor.openTool, invoke, stop: () => executor.stop() } };
}
