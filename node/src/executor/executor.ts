/** Runs the code of one generation of one plugin. */
import type { Fault, Reply } from "../worker/fault";

/** A call that has not returned yet. */
export interface Running {
  /** Never rejects. */
  readonly answer: Promise<Reply>;
  /** The deadline has passed: ends the call if that can be done, and answers either way. */
  expire(limitMs: number): void;
  /** Nobody wants the answer any more: the plugin is told. */
  cancel(): void;
  /** A cancelled call is past its grace: ends it as soon as that harms no other call. */
  giveUp(): void;
}

/** How long a plugin may take to say goodbye. */
export const GOODBYE_MS = 500;

/** A tool as the core wants it described. */
export interface ToolSpec {
  readonly id: string;
  readonly description?: string;
  readonly input_schema?: unknown;
  readonly output_schema?: unknown;
  readonly needs?: readonly string[];
  readonly deadline_ms?: number | null;
}

/** Runs the code of one generation of one plugin. */
export interface Executor {
  /** What it can be called by; `undefined` leaves the manifest's list. */
  readonly tools: readonly ToolSpec[] | undefined;
  /** The tool that takes names which are in no list (`onCommand`). */
  readonly openTool?: string | undefined;
  /** Runs one tool. Answers at once where the code is synchronous and on this thread. */
  invoke(tool: string, args: unknown): Reply | Running;
  /** Ends the generation: says goodbye to the plugin, then lets everything go. Never rejects. */
  stop(): Promise<void>;
}

/** What building an executor leads to. */
export type BuiltExecutor = { readonly executor: Executor } | { readonly fault: Fault };

/** Whether a call is still under way. */
export function isRunning(answer: Reply | Running): answer is Running {
  return "answer" in answer;
}

/** The tool that stands for every name in no list, of a plugin with `onCommand`. */
export const OPEN_TOOL = "onCommand";

/** The names that the core is told, with the open tool where there is one. */
export function listed(commands: readonly string[], open: boolean): { tools: ToolSpec[]; openTool: string | undefined } {
  const openTool = open && !commands.includes(OPEN_TOOL) ? OPEN_TOOL : undefined;
  const tools = [...commands, ...(openTool ? [openTool] : [])].map((id) => ({ id }));
  return { tools, openTool };
}

/** A call of the open tool carries the command's own name. */
export function unpacked(openTool: string | undefined, tool: string, args: unknown): [string, unknown] {
  if (tool !== openTool) return [tool, args];
  const { command, payload } = (args ?? {}) as { command?: unknown; payload?: unknown };
  return [String(command), payload];
}
