// The least that a plugin can do, in a worker.
module.exports = class {
  echo(args) {
    return args;
  }
};
