/**
 * The releases of libtorch that the set-up downloads: as parts of PyTorch's wheels, pinned by SHA-256.
 *
 * @typedef {object} Release
 * @property {string} version
 * @property {'cpu' | 'cuda'} variant
 * @property {string[][]} sources how to ask pip for PyTorch, and with which options; in the order to try
 * @property {Record<string, string[]>} wheels of PyTorch and all that it needs: file name → accepted SHA-256 digests
 * @property {number} diskBytes free space needed while it is fetched
 */

/** The wheels of this Python are taken, whichever Python runs pip: only their C++ parts are used. */
export const PYTHON_VERSION = '3.11';

/** Tags of the wheels to accept; pip does not derive older tags from a newer one that it is given. */
export const PLATFORMS = {
  'linux-x64': [
    'manylinux_2_28_x86_64',
    'manylinux_2_27_x86_64',
    'manylinux_2_25_x86_64',
    'manylinux_2_18_x86_64',
    'manylinux2014_x86_64',
  ],
};

/** @type {Record<'cpu' | 'cuda', Release>} */
export const RELEASES = {
  cpu: {
    version: '2.13.0',
    variant: 'cpu',
    // From wherever pip is set up to look; then from PyTorch's own index (PyPI's Linux wheel is a CUDA build); then
    // by the bare version, for mirrors that drop the suffix.
    sources: [
      ['torch==2.13.0+cpu'],
      ['torch==2.13.0+cpu', '--index-url', 'https://download.pytorch.org/whl/cpu'],
      ['torch==2.13.0'],
    ],
    wheels: {
      'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl': [
        '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
      ],
    },
    diskBytes: 1e9,
  },
  cuda: {
    version: '2.14.1',
    variant: 'cuda',
    sources: [['torch==2.14.1']],
    wheels: {
      'torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl': [
        '305a61f61f35f128579f299c5bd33d475f6a01c6307336139632e30856c4854d',
      ],
      'cuda_toolkit-13.0.3.0-py2.py3-none-any.whl': [
        'd693caaa261214ddd7dbb60d68e71cbed884e68c2be7509778f3051da0b91c3f',
      ],
      'nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl': [
        '37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436',
      ],
      // PyTorch does not ask for these headers, but compiling needs them.
      'nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4',
      ],
      'nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl': [
        '4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8',
      ],
      'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl': [
        'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
      ],
      'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
      ],
      'nvidia_cudnn_cu13-9.24.0.43-py3-none-manylinux_2_27_x86_64.whl': [
        '71f181cd810e90f9b6023b01186fe82d13d65f0ec098581ee201d39fad769e4b',
      ],
      'nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3',
      ],
      'nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44',
      ],
      'nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl': [
        '1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc',
      ],
      'nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl': [
        '0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112',
      ],
      'nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b',
      ],
      'nvidia_cusparselt_cu13-0.8.1-py3-none-manylinux2014_x86_64.whl': [
        '786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0',
      ],
      'nvidia_nccl_cu13-2.30.7-py3-none-manylinux_2_18_x86_64.whl': [
        'cefa7fdb9710efd0f39c5f1be1d61ff6fc9a996c451265bd7fbdcf9455ed4b50',
      ],
      'nvidia_nvjitlink-13.4.92-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl': [
        'e0391f24ed94ec879b84e3da4d4ec320c879aff681f2c7a638462f7199284323',
      ],
      'nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl': [
        '290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80',
      ],
      'nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl': [
        '4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4',
      ],
    },
    diskBytes: 8e9,
  },
};
