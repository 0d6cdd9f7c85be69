/**
 * The part that runs beside the plugin, in its worker: finds the plugin in what its file exported,
 * and answers the main thread's messages.
 *
 * `kernel` is self-contained on purpose: the script sandbox turns it to text and runs it *inside* the
 * context of the plugin, so that no function of the host's realm is ever within the plugin's reach.
 * It must therefore refer to nothing outside its own body but language intrinsics.
 */
import type { CallContext } from "./context";
import type { FromWorker, LoadStep, PluginContext, Thrown, ToWorker } from "./protocol";

/** The way out of a kernel. */
export interface KernelPort {
  /** Sends a message; throws if it cannot be encoded. */
  send(message: FromWorker): void;
  /** The context of one call. */
  makeContext(): CallContext;
  /** Nobody wants the result of that call any more. */
  abort(context: CallContext): void;
}

/** The function behind a command. */
export type ToolHandler = (payload: unknown, context: CallContext) => unknown;

/** What {@link kernel} answers. */
export interface Kernel {
  /** Builds the plugin from what its file exported. */
  load(id: number, exported: unknown, plugin: PluginContext): Promise<void>;
  /** Handles every message but `load`. */
  handle(message: ToWorker): void;
  /** Describes anything that was thrown, without ever throwing itself. */
  describe(error: unknown): Thrown;
  /** The function behind a command, if there is one. */
  handlerOf(command: string): ToolHandler | undefined;
  /** Calls the plugin's `onShutdown`. */
  goodbye(): unknown;
  /** Sends a log line, within the bound on unanswered messages. */
  log(level: string, parts: readonly unknown[]): void;
}

/** Makes the kernel of one plugin. */
export function kernel(port: KernelPort): Kernel {
  "use strict";
  type Bag = Record<string, unknown>;
  const TEXT_LIMIT = 65536;
  const UNANSWERED_LIMIT = 1024;
  const HOOKS = ["constructor", "init", "validate", "onLoad", "onUpdate", "onCommand", "onShutdown", "onUnload", "onReload", "runTool"];
  const { getPrototypeOf, getOwnPropertyNames, getOwnPropertyDescriptor } = Object;
  const ObjectPrototype = Object.prototype;
  const FunctionPrototype = Function.prototype;
  const apply = Reflect.apply;
  const slice = String.prototype.slice;
  const listeners = new Map<string, ((payload: unknown) => unknown)[]>();
  const running = new Map<number, CallContext>();
  let instance: Bag | undefined;
  let unanswered = 0;

  function cut(text: string): string {
    if (text.length <= TEXT_LIMIT) return text;
    return apply(slice, text, [0, TEXT_LIMIT]) + " ... [cut; " + text.length + " characters in all]";
  }

  function textOf(read: () => unknown): string | undefined {
    try {
      const value = read();
      return typeof value === "string" ? cut(value) : undefined;
    } catch {
      return undefined;
    }
  }

  function plainText(value: unknown): string {
    return textOf(() => String(value)) ?? "(a value whose text cannot be had)";
  }

  /** `fetch failed` says nothing: the system's own words stand in its cause, or in the first of several errors. */
  function withCause(message: string, bag: Bag, depth = 0): string {
    try {
      const next = (bag["cause"] ?? (bag["errors"] as Bag | undefined)?.[0]) as Bag | null | undefined;
      const words = next === null || typeof next !== "object" ? undefined : textOf(() => next["message"]);
      if (next === null || next === undefined || words === undefined || typeof next["code"] !== "string") return message;
      const told = message === "" ? words : message + ": " + words;
      return depth > 3 ? told : withCause(cut(told), next, depth + 1);
    } catch {
      return message;
    }
  }

  function describe(error: unknown): Thrown {
    if ((typeof error !== "object" && typeof error !== "function") || error === null) {
      return { type: error === null ? "null" : typeof error, message: plainText(error) };
    }
    const bag = error as Bag;
    const type = textOf(() => (bag["constructor"] as Bag)["name"]) || textOf(() => bag["name"]) || "Error";
    const name = textOf(() => bag["name"]);
    const message = withCause(textOf(() => bag["message"]) ?? plainText(error), bag);
    const stack = textOf(() => bag["stack"]);
    const refused = name === "InvalidInput" || type === "InvalidInput";
    return { type: name && name !== "Error" ? name : type, message, ...(stack ? { stack } : {}), ...(refused ? { refused } : {}) };
  }

  function chatter(message: FromWorker): void {
    // The main thread gives credit back; a plugin that floods it loses lines, not the host's time.
    if (unanswered >= UNANSWERED_LIMIT) return;
    unanswered += 1;
    port.send(message);
  }

  function log(level: string, parts: readonly unknown[]): void {
    let text = "";
    for (let i = 0; i < parts.length && text.length < TEXT_LIMIT; i += 1) text += (i ? " " : "") + plainText(parts[i]);
    chatter({ op: "log", level, text: cut(text) });
  }

  const bus = {
    on(event: string, listener: (payload: unknown) => unknown): () => void {
      const known = listeners.get(event);
      if (known) known.push(listener);
      else {
        listeners.set(event, [listener]);
        port.send({ op: "listen", event: cut(String(event)) });
      }
      return () => bus.off(event, listener);
    },
    off(event: string, listener: (payload: unknown) => unknown): void {
      const rest = (listeners.get(event) ?? []).filter((known) => known !== listener);
      if (rest.length > 0) listeners.set(event, rest);
      else if (listeners.delete(event)) port.send({ op: "unlisten", event: cut(String(event)) });
    },
    emit(event: string, payload?: unknown): void {
      chatter({ op: "emit", event: cut(String(event)), payload });
    },
  };

  function apiOf(plugin: PluginContext): Bag {
    const say = (level: string) => (...parts: unknown[]): void => log(level, parts);
    return {
      name: plugin.name,
      config: plugin.config,
      bus,
      events: bus,
      eventBus: bus,
      emit: bus.emit,
      on: bus.on,
      off: bus.off,
      log: say("info"),
      logger: { debug: say("debug"), info: say("info"), log: say("info"), warn: say("warn"), error: say("error") },
    };
  }

  function method(target: Bag | undefined, name: string): ((...args: unknown[]) => unknown) | undefined {
    const value = target?.[name];
    return typeof value === "function" ? (value as (...args: unknown[]) => unknown) : undefined;
  }

  function isPublic(name: string): boolean {
    return name[0] !== "_" && name[0] !== "#" && !HOOKS.includes(name);
  }

  function methodNames(target: Bag): string[] {
    const names = new Set<string>();
    for (let at: unknown = target; at && at !== ObjectPrototype && at !== FunctionPrototype; at = getPrototypeOf(at)) {
      for (const name of getOwnPropertyNames(at)) {
        const found = getOwnPropertyDescriptor(at, name);
        if (isPublic(name) && found && typeof found.value === "function") names.add(name);
      }
    }
    return [...names];
  }

  function toolHandler(command: string): ToolHandler | undefined {
    const tools = instance?.["tools"] as Bag | undefined;
    if (typeof tools !== "object" || tools === null || !getOwnPropertyDescriptor(tools, command)) return undefined;
    const tool = tools[command] as Bag;
    const handler = typeof tool === "object" && tool !== null ? tool["handler"] : tool;
    const named = typeof handler === "string" ? method(instance, handler) : handler;
    return typeof named === "function" ? (...given) => apply(named as () => unknown, instance, given) : undefined;
  }

  function handlerOf(command: string): ToolHandler | undefined {
    const tool = toolHandler(command);
    if (tool || !instance) return tool;
    if (isPublic(command) && methodNames(instance).includes(command)) {
      return (...given) => apply(method(instance, command)!, instance, given);
    }
    for (const hook of ["onCommand", "runTool"]) {
      const open = method(instance, hook);
      if (open) return (...given) => apply(open, instance, [command, ...given]);
    }
    return undefined;
  }

  function commandNames(): string[] {
    if (!instance) return [];
    const tools = instance["tools"];
    const named = typeof tools === "object" && tools !== null ? getOwnPropertyNames(tools) : [];
    return [...new Set([...named, ...methodNames(instance)])];
  }

  function candidate(exported: unknown): unknown {
    const bag = exported as Bag | undefined;
    if (typeof exported === "object" && exported !== null) {
      for (const name of ["default", "Plugin", "plugin"]) {
        const inner = bag?.[name];
        if (inner !== undefined && inner !== exported) return candidate(inner);
      }
    }
    return exported;
  }

  function construct(exported: unknown, api: Bag): Bag | undefined {
    if (typeof exported === "object" && exported !== null) return exported as Bag;
    if (typeof exported !== "function") return undefined;
    const own = getOwnPropertyDescriptor(exported, "prototype");
    const made: unknown = own && own.value ? Reflect.construct(exported, [api]) : apply(exported as () => unknown, undefined, [api]);
    return typeof made === "object" && made !== null ? (made as Bag) : undefined;
  }

  async function load(id: number, exported: unknown, plugin: PluginContext): Promise<void> {
    let step: LoadStep = "entrypoint";
    try {
      const found = candidate(exported);
      step = "construct";
      const api = apiOf(plugin);
      const made = await construct(found, api);
      step = "entrypoint";
      if (!made) throw new TypeError("the file exports neither a class, nor an object, nor a function that makes one");
      step = "construct";
      await method(made, "init")?.call(made, api, bus, plugin.config ?? {});
      await method(made, "onLoad")?.call(made, plugin.initialState);
      step = "validate";
      if ((await method(made, "validate")?.call(made)) === false) throw new Error("validate() returned false");
      instance = made;
      port.send({ op: "loaded", id, commands: commandNames(), open: !!(method(made, "onCommand") ?? method(made, "runTool")) });
    } catch (error) {
      port.send({ op: "unloadable", id, step, thrown: describe(error) });
    }
  }

  function reply(id: number, value: unknown): void {
    try {
      port.send({ op: "result", id, value });
    } catch (error) {
      port.send({ op: "unserializable", id, message: describe(error).message });
    }
  }

  async function call(id: number, command: string, payload: unknown): Promise<void> {
    const handler = handlerOf(command);
    if (!handler) return port.send({ op: "unknown", id });
    const context = port.makeContext();
    running.set(id, context);
    try {
      reply(id, await handler(payload, context));
    } catch (error) {
      port.send({ op: "threw", id, thrown: describe(error) });
    } finally {
      running.delete(id);
    }
  }

  function cancel(id: number): void {
    const context = running.get(id);
    if (context) port.abort(context);
  }

  function goodbye(): unknown {
    return (method(instance, "onShutdown") ?? method(instance, "onUnload"))?.call(instance);
  }

  async function shutdown(id: number): Promise<void> {
    try {
      await goodbye();
      port.send({ op: "result", id });
    } catch (error) {
      port.send({ op: "threw", id, thrown: describe(error) });
    }
  }

  function deliver(event: string, payload: unknown): void {
    for (const listener of [...(listeners.get(event) ?? [])]) {
      // A listener's fault is told, and is no fault of a call.
      void (async () => listener(payload))().catch((error: unknown) => {
        log("error", ["a listener of", event, "failed:", describe(error).message]);
      });
    }
  }

  function handle(message: ToWorker): void {
    if (message.op === "call") void call(message.id, message.command, message.payload);
    else if (message.op === "cancel") cancel(message.id);
    else if (message.op === "shutdown") void shutdown(message.id);
    else if (message.op === "event") deliver(message.event, message.payload);
    else if (message.op === "credit") unanswered = Math.max(0, unanswered - message.count);
  }

  return { load, handle, describe, handlerOf, goodbye, log };
}
