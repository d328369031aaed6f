/** What is said of files that hold no exported program. */

import type { TorchCurvatureError } from '../../errors.ts';
import { damaged } from './failure.ts';
import type { Archive } from './zip.ts';

const EXPORT =
  "torch.export.save(torch.export.export(model.eval(), (x,), dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2')";

/** A class or function in a pickle. */
const GLOBAL = /c([A-Za-z_][\w.]*)\n([A-Za-z_][\w.]*)\n/g;
/** Those that tensors in dictionaries need. */
const PLAIN =
  /^(torch(\._utils|\._tensor|\.storage|\.serialization)?|collections|builtins|__builtin__|copyreg|numpy.*|_codecs)$/;

/** A pickle that `torch.save` wrote: a module, or values without a model. */
export function pickledFile(archive: Archive): TorchCurvatureError | undefined {
  const entry = archive.names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (entry === undefined) return undefined;
  const text = Buffer.from(archive.read(entry)).toString('latin1');
  const classes = [...text.matchAll(GLOBAL)].filter(([, module]) => !PLAIN.test(module!));
  if (classes.length === 0) {
    return damaged(
      'it is a state dict or checkpoint, as torch.save(model.state_dict(), …) writes it: values without the model. Export ' +
        `the model with them: model.load_state_dict(torch.load('model.pt')); ${EXPORT}`,
    );
  }
  const [, module, name] = classes[0]!;
  return damaged(
    `it is a pickle of Python objects (${module}.${name}), as torch.save(model, …) writes it, which only Python and the ` +
      `model's code can read: model = torch.load('model.pt', weights_only=False); ${EXPORT}`,
  );
}

/** What is no zip archive. */
export function otherFile(bytes: Uint8Array): TorchCurvatureError {
  const kind = 'as the files of torch.export.save and torch.jit.save are';
  // A pickle of protocol 2: what torch.save wrote before PyTorch 1.6.
  if (bytes[0] === 0x80 && bytes[1] === 0x02) {
    return damaged(
      `it is a pickle of Python objects, no zip archive, ${kind}: model = torch.load('model.pt', weights_only=False), or ` +
        `model.load_state_dict(torch.load('model.pt')); ${EXPORT}`,
    );
  }
  if (bytes.length > 8 && bytes[8] === 0x7b) {
    return damaged(
      `it is no zip archive, ${kind}, and looks like safetensors: values without the model, which loadSafetensors reads`,
    );
  }
  return damaged(`it is no zip archive, ${kind}`);
}
