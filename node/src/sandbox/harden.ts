/**
 * The second wall of the script sandbox: takes every power from the worker's own realm.
 *
 * The context inside is given nothing of this realm; should a script all the same get hold of one of
 * its objects, there is nothing to be had with it: no global but the language's own, no way from an
 * object to a function constructor, and no prototype that can be changed under Node's feet.
 */

const LANGUAGE = [
  "Object", "Function", "Array", "Number", "Boolean", "String", "Symbol", "BigInt", "Date", "Promise", "RegExp", "Error",
  "AggregateError", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "JSON", "Math",
  "ArrayBuffer", "Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array", "Int32Array", "Float32Array",
  "Float64Array", "Uint8ClampedArray", "BigUint64Array", "BigInt64Array", "DataView", "Map", "Set", "WeakMap", "WeakSet",
  "WeakRef", "FinalizationRegistry", "Proxy", "Reflect", "Infinity", "NaN", "undefined", "parseInt", "parseFloat", "isNaN",
  "isFinite", "globalThis",
];

function removeGlobals(): void {
  const kept = new Set<string | symbol>(LANGUAGE);
  for (const key of Reflect.ownKeys(globalThis)) {
    if (!kept.has(key) && !Reflect.deleteProperty(globalThis, key)) {
      throw new Error(`the sandbox cannot remove ${String(key)} from its worker`);
    }
  }
}

function removeFunctionConstructors(): void {
  const samples = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const sample of samples) {
    const prototype = Object.getPrototypeOf(sample) as object;
    Object.defineProperty(prototype, "constructor", { value: undefined, writable: false, configurable: false });
  }
}

function freezeIntrinsics(): void {
  const seen = new Set<unknown>();
  const queue: unknown[] = LANGUAGE.filter((name) => name !== "globalThis").map((name) => Reflect.get(globalThis, name) as unknown);
  for (let at = queue.pop(); queue.length > 0 || at !== undefined; at = queue.pop()) {
    if ((typeof at !== "object" && typeof at !== "function") || at === null || seen.has(at)) continue;
    seen.add(at);
    for (const found of Object.values(Object.getOwnPropertyDescriptors(at))) queue.push(found.value, found.get, found.set);
    queue.push(Object.getPrototypeOf(at));
    Object.freeze(at);
  }
}

/** Strips this realm. There is no way back: call it last, in a worker that serves one sandbox. */
export function harden(): void {
  removeFunctionConstructors();
  removeGlobals();
  freezeIntrinsics();
}
