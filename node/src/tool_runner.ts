/** Runs tools for a host that wants one call and one answer. */
import { type Outcome } from "./outcome";
import { PlugwardError } from "./plugward_error";
import { type CallOptions, type HostPlugin, Runtime } from "./runtime";

/** Runs tools of one {@link Runtime}. */
export class ToolRunner {
  /** The runtime that it runs on. */
  readonly runtime: Runtime;

  constructor(runtime: Runtime = new Runtime()) {
    this.runtime = runtime;
  }

  /** Runs a tool; the answer is `{ok: true, result}` or `{ok: false, error, ...}`, never a rejection. */
  runTool<T = unknown>(plugin: string, tool: string, args: unknown = {}, options: CallOptions = {}): Promise<Outcome<T>> {
    return this.runtime.call<T>(plugin, tool, args, options);
  }

  /** Runs a tool and answers its result; rejects with a {@link PlugwardError}. */
  async runPluginTool<T = unknown>(plugin: string, tool: string, args: unknown = {}, options: CallOptions = {}): Promise<T> {
    const outcome = await this.runTool<T>(plugin, tool, args, options);
    if (!outcome.ok) throw PlugwardError.of(outcome);
    return outcome.result;
  }

  /** Runs a tool of a plugin object, which is loaded first if its name is not there yet. */
  async run<T = unknown>(plugin: HostPlugin, tool: string, args: unknown = {}, options: CallOptions = {}): Promise<Outcome<T>> {
    if (!options.signal?.aborted && !this.runtime.pluginHealth(plugin.name)) await this.runtime.load(plugin);
    return this.runTool<T>(plugin.name, tool, args, options);
  }
}
