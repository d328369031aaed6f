{
  # npm runs `node-gyp rebuild` where a binding.gyp lies. The sources are listed in CMakeLists.txt, once; this hands over.
  'targets': [
    {
      'target_name': 'torch_curvature',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': [],
          # Never made, so that the action always runs; the build itself knows when there is nothing to do.
          'outputs': ['<(PRODUCT_DIR)/always'],
          'action': ['node', 'scripts/setup/build.mjs'],
        },
      ],
    },
  ],
}
