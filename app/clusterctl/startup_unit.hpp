// The unit files of packaging/systemd, made to fit this installation and these directories.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace cluster::clusterctl {

struct UnitSettings {
    bool is_for_user = false;
    std::string daemon;  // absolute path of clusterd
    std::vector<std::pair<std::string, std::string>> environment;
};

/// The text of clusterd.service. Values are quoted as systemd reads them (systemd.syntax(7)): no
/// path and no variable can add a line, a word or a specifier of its own.
[[nodiscard]] std::string make_unit(const UnitSettings& settings);

}  // namespace cluster::clusterctl
