/** A fault as the door sees it, before the core has classified and recorded it. */
import type { LoadStep, Thrown } from "./protocol";

/** Why a call or a load did not end well. */
export interface Fault {
  /** The catalogue's code, `PW-CALL-005`. */
  readonly code: string;
  /** What happened this time. */
  readonly message: string;
  /** The class name of the plugin's error, where it is the plugin's. */
  readonly type?: string;
  /** Why, where that is known better than the catalogue does. */
  readonly cause?: string;
  /** The plugin's stack. */
  readonly traceback?: string;
  /** The exit code, where the plugin tried to end the process. */
  readonly status?: string;
  /** What is left of the call. */
  readonly effect: "not_started" | "completed" | "stopped" | "may_have_run";
  /** Whether the plugin's worker is gone, or must go. */
  readonly fatal: boolean;
}

/** What a worker answered. */
export type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly fault: Fault };

function of(code: string, message: string, rest: Partial<Fault> = {}): Fault {
  return { code, message, effect: "may_have_run", fatal: false, ...rest };
}

function words(thrown: Thrown): Partial<Fault> {
  return { type: thrown.type, ...(thrown.stack === undefined ? {} : { traceback: thrown.stack }) };
}

const STEPS: Record<LoadStep, string> = {
  import: "PW-LOAD-003",
  construct: "PW-LOAD-004",
  validate: "PW-LOAD-005",
  entrypoint: "PW-LOAD-007",
};

/** Each way in which a worker can disappoint. */
export const fault = {
  /** The plugin's code threw or rejected. */
  threw: (thrown: Thrown): Fault =>
    thrown.refused ? of("PW-CALL-003", thrown.message, words(thrown)) : of("PW-CALL-001", thrown.message, words(thrown)),
  /** An error reached nobody: thrown in a timer, or a rejection without a handler. */
  crashed: (thrown: Thrown): Fault =>
    of("PW-CALL-001", thrown.message, {
      ...words(thrown),
      cause: "the plugin left an error unhandled, which would have ended a process of its own",
      fatal: true,
    }),
  /** A step of the load failed. */
  unloadable: (step: LoadStep, thrown: Thrown): Fault => of(STEPS[step], thrown.message, { ...words(thrown), fatal: true }),
  /** The plugin has no such command. */
  unknown: (command: string): Fault => of("PW-REG-002", `Command not found: ${command}`, { effect: "not_started" }),
  /** The result cannot cross. */
  unserializable: (message: string): Fault => of("PW-CALL-015", message, { effect: "completed" }),
  /** The deadline passed. */
  deadline: (ms: number): Fault =>
    of("PW-CALL-005", `the call did not end within ${ms} ms; its worker was terminated`, { effect: "stopped", fatal: true }),
  /** The worker's heap is full. */
  memory: (megabytes: number | undefined): Fault =>
    of("PW-CALL-014", `the plugin's heap reached its limit${megabytes === undefined ? "" : ` of ${megabytes} MB`}`, { effect: "stopped", fatal: true }),
  /** The worker ended by itself. */
  exited: (code: number): Fault =>
    of("PW-CALL-011", `the plugin ended its worker with exit code ${code}`, { status: String(code), effect: "stopped", fatal: true }),
  /** Another call's fault took the worker away. */
  collateral: (why: Fault): Fault =>
    of("PW-CALL-006", `the plugin failed while the call ran: ${why.message}`, { effect: "stopped", fatal: true }),
  /** The entrypoint's file cannot be read. */
  unreadable: (message: string): Fault => of("PW-LOAD-007", message, { effect: "not_started", fatal: true }),
  /** The worker was stopped on the host's wish. */
  cancelled: (): Fault => of("PW-CALL-013", "the plugin was stopped while the call ran", { effect: "stopped", fatal: true }),
  /** The caller of a call left, and the call would not end. */
  unended: (command: string): Fault =>
    of("PW-WORKER-014", `the worker was ended because a cancelled call of ${command} would not end`, { effect: "stopped", fatal: true }),
  /** No worker could be started. */
  thread: (message: string): Fault => of("PW-RT-004", message, { effect: "not_started", fatal: true }),
};
