# Installs libcluster, and only that, to a fresh prefix.
file(REMOVE_RECURSE ${PREFIX})
foreach(COMPONENT libcluster libcluster-dev)
    execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} --component ${COMPONENT}
        COMMAND_ERROR_IS_FATAL ANY)
endforeach()
