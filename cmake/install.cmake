# Install rules: bin/torii, its documents and examples. The prefix may be moved; LibTorch and Arrow stay
# in the environment that the program was built with (its path is in the RUNPATH).
include(GNUInstallDirs)
if(TARGET torii)
  set_target_properties(torii PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}"
    INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS torii RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
if(TARGET torii_cuda)
  install(TARGETS torii_cuda LIBRARY DESTINATION lib)
endif()
