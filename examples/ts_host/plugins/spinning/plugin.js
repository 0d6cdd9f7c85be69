export default class {
  spin() {
    for (;;);
  }
}
