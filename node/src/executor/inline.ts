/**
 * Code that runs on the host's own thread.
 *
 * An asynchronous call is answered at its deadline. A loop cannot be stopped there: N-API has no way
 * to interrupt JavaScript. The core's timer thread marks the plugin FAILED at the deadline all the
 * same, so nobody else enters it, and the late result is discarded. A cancelled call is given up after
 * its grace: its code may go on, and nobody waits for it.
 */
import { abort, type CallContext, makeContext } from "../worker/context";
import { kernel } from "../worker/kernel";
import { fault, type Fault, type Reply } from "../worker/fault";
import type { FromWorker, PluginContext } from "../worker/protocol";
import { type BuiltExecutor, type Executor, type Running, type ToolSpec, GOODBYE_MS, listed, unpacked } from "./executor";

/** A callable tool: it gets its arguments, and the call that it runs in. */
export type Handler = (args: never, context: CallContext) => unknown;

const describe = kernel({ send: () => undefined, makeContext, abort }).describe;

/** Runs functions that are at hand. */
export class InlineExecutor implements Executor {
  readonly tools: readonly ToolSpec[] | undefined;
  readonly openTool: string | undefined;
  readonly #find: (tool: string) => Handler | undefined;
  readonly #goodbye: () => unknown;

  constructor(
    tools: readonly ToolSpec[] | undefined,
    find: (tool: string) => Handler | undefined,
    goodbye: () => unknown = () => undefined,
    openTool?: string,
  ) {
    this.tools = tools;
    this.#find = find;
    this.#goodbye = goodbye;
    this.openTool = openTool;
  }

  invoke(tool: string, args: unknown): Reply | Running {
    const [name, given] = unpacked(this.openTool, tool, args);
    const handler = this.#find(name);
    if (!handler) return { ok: false, fault: fault.unknown(name) };
    try {
      const context = makeContext();
      const value: unknown = handler(given as never, context);
      return isThenable(value) ? runningOf(value, context) : { ok: true, value };
    } catch (error) {
      return { ok: false, fault: fault.threw(describe(error)) };
    }
  }

  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise((resolve) => (timer = setTimeout(resolve, GOODBYE_MS)));
    try {
      await Promise.race([this.#goodbye(), enough]);
    } catch {
      // A plugin that fails on its way out has gone all the same.
    }
    clearTimeout(timer);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  return typeof (value as { then?: unknown }).then === "function";
}

function runningOf(value: PromiseLike<unknown>, context: CallContext): Running {
  let end: (why: Fault) => void = () => undefined;
  const answer = new Promise<Reply>((resolve) => {
    end = (why) => resolve({ ok: false, fault: { ...why, effect: "may_have_run" } });
    new Promise<unknown>((settle) => settle(value)).then(
      (result) => resolve({ ok: true, value: result }),
      (error: unknown) => resolve({ ok: false, fault: fault.threw(describe(error)) }),
    );
  });
  return {
    answer,
    expire: (limitMs) => end(fault.deadline(limitMs)),
    cancel: () => abort(context),
    giveUp: () => end(fault.cancelled()),
  };
}

/** Builds a plugin from a module that was imported into the host's own thread. */
export async function buildInline(exported: unknown, plugin: PluginContext, log: (level: string, text: string) => void): Promise<BuiltExecutor> {
  let reply: FromWorker | undefined;
  const own = kernel({
    makeContext,
    abort,
    send: (message) => {
      if (message.op === "log") {
        log(message.level, message.text);
        own.handle({ op: "credit", count: 1 });
      } else if (message.op === "loaded" || message.op === "unloadable") reply = message;
    },
  });
  await own.load(0, exported, plugin);
  if (reply?.op !== "loaded") {
    const { step, thrown } = reply?.op === "unloadable" ? reply : { step: "construct" as const, thrown: { type: "Error", message: "no answer" } };
    return { fault: fault.unloadable(step, thrown) };
  }
  const { tools, openTool } = listed(reply.commands, reply.open);
  return { executor: new InlineExecutor(tools, (tool) => own.handlerOf(tool), () => own.goodbye(), openTool) };
}
