{
  'targets': [
    {
      'target_name': 'reelay',
      'sources': ['addon.cpp', 'kernels.cpp', 'slice.cpp', 'live.cpp'],
      'conditions': [['OS=="linux"', {'sources': ['live/loop.cpp', 'live/wire.cpp', 'live/epoll.cpp', 'live/uring.cpp']}]],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS'],
      # A product and a sum are rounded one after the other, as JavaScript does it, also where a processor could do both at once.
      'cflags': ['-O3', '-ffp-contract=off', '-Wall', '-Wextra'],
      'cflags_cc': ['-std=c++17'],
      'xcode_settings': {'CLANG_CXX_LANGUAGE_STANDARD': 'c++17', 'GCC_OPTIMIZATION_LEVEL': '3', 'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off']},
      'msvs_settings': {'VCCLCompilerTool': {'AdditionalOptions': ['/std:c++17']}},
    },
  ],
}
