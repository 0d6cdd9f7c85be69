/** Plugward for Node: plugins may throw, hang, leak or exit; the host sees a structured answer. */
export { Code, CATALOGUE, type CatalogueEntry } from "./errors";
export { EventBus, type EventBusOptions, type Listener, type ListenerFault, type ListenOptions, type Priority } from "./event_bus";
export type { Finding } from "./finding";
export { healthHandler, type HealthHandler, type HealthSource, type PluginHealth, type Summary } from "./health";
export type { LogRecord } from "./door";
export type { CallContext } from "./worker/context";
export type { CallFacts, Effect, Failure, Outcome, Success } from "./outcome";
export { PluginHost, type Logger, type PluginHostOptions } from "./plugin_host";
export { PlugwardError } from "./plugward_error";
export { Runtime, type CallOptions, type CheckOptions, type HostPlugin, type HostTool, type LoadReport, type ManifestObject, type MarkEvent, type RuntimeOptions } from "./runtime";
export { ToolRunner } from "./tool_runner";
