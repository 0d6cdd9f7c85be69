/** `JSON.parse` of text that a plugin wrote. */

/** Parses; answers `undefined` for what is no JSON, and drops keys that could change a prototype. */
export function safeParse(text: string): unknown {
  try {
    const suspicious = text.includes("__proto__") || text.includes("\\u");
    return suspicious ? JSON.parse(text, dropPrototype) : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function dropPrototype(key: string, value: unknown): unknown {
  return key === "__proto__" ? undefined : value;
}
