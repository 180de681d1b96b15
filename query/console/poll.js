// Asking again and again, but never while nobody looks.

/**
 * Calls `ask` now and then `ms` after it has answered, until the signal aborts. It rests while the tab is hidden, and for as long as a
 * problem says. What goes wrong is `onError`'s to show; it returns false when asking again is of no use.
 */
export function every(ms, signal, ask, onError = () => true) {
  let timer = 0;
  let isAsking = false;

  async function turn() {
    clearTimeout(timer);
    if (isAsking || signal.aborted || document.hidden) return;
    isAsking = true;
    let wait = ms;
    try {
      await ask(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (onError(error) === false) return;
      wait = Math.max(ms, (error.retryAfter ?? 0) * 1000);
    } finally {
      isAsking = false;
    }
    if (!signal.aborted) timer = setTimeout(turn, wait);
  }

  document.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  turn();
}
