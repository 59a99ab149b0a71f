# Debian packages: one for each program. deploy/packages/build.sh makes them.
#
#   consilium-coordinator   the server: program, hardened unit, user, folder
#   consilium-site          the hospital's agent, likewise
#   consilium-extract       images into tables of features; consilium-site recommends it
#   consilium               the console of leads and auditors, with completions
#
# What is made from the programs themselves (manual pages, completions) is deploy/packages/generate.sh's.
set(consilium_packages ${CMAKE_SOURCE_DIR}/deploy/packages)
set(consilium_package_files ${CMAKE_BINARY_DIR}/package_files)

# Everything of a program is bound before main, and what was bound cannot be changed after.
foreach(program consilium consilium-extract consilium-site consilium-coordinator)
  target_link_options(${program} PRIVATE -Wl,-z,relro,-z,now)
endforeach()

# Packing takes what stands; deploy/packages/build.sh has built it.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(documents ${CMAKE_SOURCE_DIR}/docs)
function(consilium_package component program)
  cmake_parse_arguments(ARG "" "" "DOCUMENTS;FORMATS" ${ARGN})
  set(doc share/doc/${program})
  install(TARGETS ${program} RUNTIME DESTINATION bin COMPONENT ${component})
  install(FILES ${consilium_package_files}/${program}.1.gz DESTINATION share/man/man1 COMPONENT ${component})
  install(FILES ${consilium_packages}/copyright ${consilium_package_files}/changelog.gz
          DESTINATION ${doc} COMPONENT ${component})
  foreach(document IN LISTS ARG_DOCUMENTS)
    install(FILES ${documents}/${document}.md DESTINATION ${doc} COMPONENT ${component})
  endforeach()
  foreach(format IN LISTS ARG_FORMATS)
    install(FILES ${documents}/formats/${format}.md DESTINATION ${doc}/formats COMPONENT ${component})
  endforeach()
endfunction()

function(consilium_service component program)
  install(FILES ${consilium_packages}/${program}.service DESTINATION /lib/systemd/system COMPONENT ${component})
  install(FILES ${consilium_packages}/${program}.sysusers DESTINATION lib/sysusers.d
          RENAME ${program}.conf COMPONENT ${component})
  install(FILES ${consilium_packages}/${program}.tmpfiles DESTINATION lib/tmpfiles.d
          RENAME ${program}.conf COMPONENT ${component})
endfunction()

consilium_package(coordinator consilium-coordinator DOCUMENTS coordinator threats FORMATS wire log token)
consilium_service(coordinator consilium-coordinator)
install(FILES ${consilium_packages}/coordinator.default DESTINATION /etc/default
        RENAME consilium-coordinator COMPONENT coordinator)
install(FILES ${CMAKE_BINARY_DIR}/web/THIRD_PARTY_LICENSES.txt
        DESTINATION share/doc/consilium-coordinator COMPONENT coordinator)

consilium_package(site consilium-site DOCUMENTS site disclosure threats FORMATS site cohort ledger)
consilium_service(site consilium-site)
install(FILES ${consilium_packages}/site.yaml DESTINATION share/doc/consilium-site/examples COMPONENT site)
install(DIRECTORY DESTINATION /etc/consilium COMPONENT site)

consilium_package(extract consilium-extract FORMATS cases extraction features stability)

consilium_package(console consilium DOCUMENTS first_study auditor demo protocol threats
                  FORMATS study cohort report log person)
install(FILES ${consilium_package_files}/consilium.bash DESTINATION share/bash-completion/completions
        RENAME consilium COMPONENT console)
install(FILES ${consilium_package_files}/_consilium DESTINATION share/zsh/vendor-completions COMPONENT console)
install(FILES ${consilium_package_files}/consilium.fish DESTINATION share/fish/vendor_completions.d COMPONENT console)
install(FILES ${CMAKE_BINARY_DIR}/web/THIRD_PARTY_LICENSES.txt DESTINATION share/doc/consilium COMPONENT console)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME consilium)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CONSILIUM_PACKAGE_CONTACT "Consilium <consilium@example.org>" CACHE STRING "Maintainer of the packages: Name <address>")
set(CPACK_PACKAGE_CONTACT ${CONSILIUM_PACKAGE_CONTACT})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)  # /etc and /lib are not below the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL coordinator site extract console)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_NAME consilium-coordinator)
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_SECTION science)
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_DEPENDS systemd)
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_CONTROL_EXTRA
    ${consilium_packages}/coordinator/postinst ${consilium_packages}/coordinator/prerm
    ${consilium_packages}/coordinator/postrm ${consilium_packages}/coordinator/conffiles)
set(CPACK_DEBIAN_SITE_PACKAGE_NAME consilium-site)
set(CPACK_DEBIAN_SITE_PACKAGE_SECTION science)
set(CPACK_DEBIAN_SITE_PACKAGE_DEPENDS systemd)
set(CPACK_DEBIAN_SITE_PACKAGE_RECOMMENDS "systemd-timesyncd | time-daemon, consilium-extract")
set(CPACK_DEBIAN_SITE_PACKAGE_CONTROL_EXTRA
    ${consilium_packages}/site/postinst ${consilium_packages}/site/prerm ${consilium_packages}/site/postrm)
set(CPACK_DEBIAN_EXTRACT_PACKAGE_NAME consilium-extract)
set(CPACK_DEBIAN_EXTRACT_PACKAGE_SECTION science)
set(CPACK_DEBIAN_CONSOLE_PACKAGE_NAME consilium)
set(CPACK_DEBIAN_CONSOLE_PACKAGE_SECTION science)
set(CPACK_DEBIAN_CONSOLE_PACKAGE_SUGGESTS consilium-extract)  # simulates studies of images
# Debian's form: one line, then an indented text.
set(CPACK_COMPONENT_COORDINATOR_DESCRIPTION "coordinator of federated multicenter radiomics studies
Passes studies, questions and totals between hospitals over mutual TLS, keeps
the log of totals, and makes the report. It sees no patient's row. One process
and one folder; it needs no database server.")
set(CPACK_COMPONENT_SITE_DESCRIPTION "hospital's agent of federated multicenter radiomics studies
Reads tables of research variables, asks a coordinator for work over one
outbound connection, and answers with sums. It never sends a row, opens no
port, and writes everything that leaves into a ledger in plain words.")
set(CPACK_COMPONENT_EXTRACT_DESCRIPTION "radiomics features of medical images, at the hospital
Turns lists of images and masks (NIfTI, NRRD, DICOM series, RT structure sets,
segmentations) into tables of features after the IBSI's standard or as
PyRadiomics defines them. Resumable, a process a core, and no network.")
set(CPACK_COMPONENT_CONSOLE_DESCRIPTION "console of leads and auditors of federated radiomics studies
Writes, checks, submits and follows multicenter studies, fetches their reports
and re-derives every reported number from the log.")
include(CPack)
