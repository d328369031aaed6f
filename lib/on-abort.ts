interface Listening {
  readonly stops: Set<() => void>;
  readonly listener: () => void;
}

const listening = new WeakMap<AbortSignal, Listening>();

/**
 * Calls `stop` once the signal, which is not aborted yet, is. However many wait for it, the signal has one listener: past
 * ten Node.js warns of a leak.
 *
 * @returns what is to be called once nobody wants to know any more
 */
export function onAbort(signal: AbortSignal, stop: () => void): () => void {
  const { stops, listener } = listening.get(signal) ?? listen(signal);
  stops.add(stop);
  return () => {
    stops.delete(stop);
    if (stops.size > 0 || listening.get(signal)?.stops !== stops) return;
    // A signal that is listened to is kept until it is aborted, which may be never.
    signal.removeEventListener('abort', listener);
    listening.delete(signal);
  };
}

function listen(signal: AbortSignal): Listening {
  const stops = new Set<() => void>();
  const listener = () => {
    if (!signal.aborted) return; // an event that the caller has made
    listening.delete(signal);
    signal.removeEventListener('abort', listener);
    for (const stop of stops) stop(); // none of the package's throws
  };
  signal.addEventListener('abort', listener);
  const made = { stops, listener };
  listening.set(signal, made);
  return made;
}
