/** What those hear who listen to the promised operations of the package. */
import { tracingChannel } from 'node:diagnostics_channel';

/** The messages of the operations that end while the work is done. */
export async function heardOf(work: () => unknown): Promise<object[]> {
  const heard: object[] = [];
  const note = (message: unknown) => heard.push(message as object);
  const channel = tracingChannel('torch-curvature:product');
  channel.asyncEnd.subscribe(note);
  try {
    await work();
  } finally {
    channel.asyncEnd.unsubscribe(note);
  }
  return heard;
}
