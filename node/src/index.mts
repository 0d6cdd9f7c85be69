/** The ES module's face of the package. One build serves both, so there is one set of classes. */
export { CATALOGUE, Code, EventBus, healthHandler, PluginHost, PlugwardError, Runtime, ToolRunner } from "./index.js";
export type * from "./index.js";
