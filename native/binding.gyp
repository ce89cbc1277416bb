{
  'targets': [
    {
      'target_name': 'reelay',
      'sources': ['addon.cpp', 'kernels.cpp', 'slice.cpp'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS'],
      'cflags': ['-O3', '-Wall', '-Wextra'],
      'cflags_cc': ['-std=c++17'],
      'xcode_settings': {'CLANG_CXX_LANGUAGE_STANDARD': 'c++17', 'GCC_OPTIMIZATION_LEVEL': '3'},
      'msvs_settings': {'VCCLCompilerTool': {'AdditionalOptions': ['/std:c++17']}},
    },
  ],
}
