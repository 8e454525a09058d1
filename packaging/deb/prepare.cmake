# Run by CPack when the trees of all packages are staged: adds what Debian wants of every package (copyright, the
# package's changelog), packs pages and changelogs, and puts the settings of needrestart in their place.
if(NOT CPACK_CLUSTER_PREFIX STREQUAL "/usr")
    message(FATAL_ERROR "configured for ${CPACK_CLUSTER_PREFIX}, and its units say so: use --preset deb")
endif()
find_program(GZIP gzip REQUIRED)
set(HERE ${CPACK_CLUSTER_SOURCE_DIR}/packaging/deb)
set(VERSION ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})

# -n: the same bytes whenever it is built.
function(pack)
    if(ARGN)
        execute_process(COMMAND ${GZIP} -9nf ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
    endif()
endfunction()

function(add_documents COMPONENT PACKAGE)
    set(DOC ${CPACK_TEMPORARY_DIRECTORY}/${COMPONENT}/usr/share/doc/${PACKAGE})
    configure_file(${HERE}/copyright ${DOC}/copyright COPYONLY)
    configure_file(${HERE}/changelog ${DOC}/changelog.Debian @ONLY)
    file(COPY_FILE ${CPACK_CLUSTER_SOURCE_DIR}/CHANGELOG.md ${DOC}/changelog)
    pack(${DOC}/changelog.Debian ${DOC}/changelog)
    configure_file(${HERE}/lintian-overrides
                   ${CPACK_TEMPORARY_DIRECTORY}/${COMPONENT}/usr/share/lintian/overrides/${PACKAGE} @ONLY)
    file(GLOB_RECURSE ALL LIST_DIRECTORIES FALSE ${DOC}/*)
    file(CHMOD ${ALL} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endfunction()

file(GLOB PAGES ${CPACK_TEMPORARY_DIRECTORY}/clusterd/usr/share/man/man*/*.[1-8])
pack(${PAGES})
configure_file(${HERE}/needrestart.conf ${CPACK_TEMPORARY_DIRECTORY}/clusterd/etc/needrestart/conf.d/clusterd.conf COPYONLY)
add_documents(clusterd clusterd)
if(EXISTS ${CPACK_TEMPORARY_DIRECTORY}/libcluster)
    add_documents(libcluster ${CPACK_CLUSTER_LIBRARY_PACKAGE})
    add_documents(libcluster-dev libcluster-dev)
endif()
if(EXISTS ${CPACK_TEMPORARY_DIRECTORY}/python)
    add_documents(python python3-clusterd)
    # Its extension calls nothing but the interpreter that loads it, and so names no library.
    file(GLOB EXTENSION ${CPACK_TEMPORARY_DIRECTORY}/python/usr/lib/python3/dist-packages/clusterd/*.so)
    if(EXTENSION)
        file(APPEND ${CPACK_TEMPORARY_DIRECTORY}/python/usr/share/lintian/overrides/python3-clusterd
             "python3-clusterd: shared-library-lacks-prerequisites *\n")
    endif()
endif()
