// Run by `node -e` with a plugin's folder and a package's name: imports the package as code in that
// folder would, and tells how that went behind a mark. A package that ends or hangs the process does
// not come to that.
const [dir, name] = process.argv.slice(1);
const { existsSync, readFileSync, writeSync } = require("node:fs");
const Module = require("node:module");
const { join } = require("node:path");

// `import` and `require` of a module in that folder, which need not exist.
const file = join(dir, "plugward_check.cjs");
const own = new Module(file);
own.filename = file;
own.paths = Module._nodeModulePaths(dir);
own._compile("exports.import = (name) => import(name); exports.require = require;", file);

function tell(answer) {
  writeSync(1, "\x1e" + JSON.stringify(answer));
  process.exit(0);
}

/** A package of types or programs alone: nothing in it says what to import, and nothing is there. */
function isEmpty() {
  const places = own.paths.map((place) => join(place, name));
  const at = places.find((place) => existsSync(join(place, "package.json")));
  if (at === undefined) return false;
  const { main, exports } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  return !main && exports === undefined && !existsSync(join(at, "index.js"));
}

async function load() {
  try {
    await own.exports.import(name);
  } catch (error) {
    // A package may serve `require` alone.
    if (error?.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    own.exports.require(name);
  }
}

function wordsOf(error) {
  try {
    return String(error?.stack ?? error).split("\n").slice(0, 4).join(" | ").slice(0, 2000);
  } catch {
    return "something that has no text";
  }
}

if (isEmpty()) tell({ empty: true });
load().then(
  () => tell({}),
  (error) => tell({ threw: wordsOf(error) }),
);
