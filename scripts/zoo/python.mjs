/** The Python of the zoo: PyTorch and the libraries of public models. */
import { pythonWith } from '../peers/python.mjs';

/** torchvision is only looked for: some builds of it fail to load beside this PyTorch, which export.py mends. */
const IMPORTS = `import importlib.util, sys
from torch.func import linearize
sys.exit(not all(map(importlib.util.find_spec, ['scipy', 'torchvision', 'timm', 'transformers', 'torch_geometric'])))`;

/** @returns {Promise<string | undefined>} nothing, after saying why, where there is none */
export function pythonOfTheZoo() {
  return pythonWith({
    name: 'zoo',
    packages: [
      'numpy==2.4.6',
      'scipy==1.17.1',
      'torchvision==0.28.0',
      'timm==1.0.29',
      'transformers==5.18.0',
      'torch-geometric==2.8.0.post1',
    ],
    imports: IMPORTS,
    missing: 'The libraries of the zoo',
  });
}
