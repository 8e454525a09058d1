#include "clusterctl/startup_unit.hpp"

#include <string_view>

#include "startup_unit_texts.hpp"

namespace cluster::clusterctl {
namespace {

constexpr std::string_view kPackagedDaemon = "ExecStart=/usr/bin/clusterd\n";

/// In double quotes; '%' would be a specifier, and '$' a variable in ExecStart.
std::string quote(std::string_view value, bool is_command) {
    std::string text = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            text += '\\';
            text += c;
        } else if (c == '%') {
            text += "%%";
        } else if (c == '$' && is_command) {
            text += "$$";
        } else if (c == '\n') {
            text += "\\n";
        } else {
            text += c;
        }
    }
    return text + "\"";
}

}  // namespace

std::string make_unit(const UnitSettings& settings) {
    std::string unit = settings.is_for_user ? kUserUnit : kSystemUnit;
    std::string lines = "ExecStart=" + quote(settings.daemon, true) + "\n";
    for (const auto& [name, value] : settings.environment) {
        lines += "Environment=" + quote(name + "=" + value, false) + "\n";
    }
    const std::size_t at = unit.find(kPackagedDaemon);
    return unit.replace(at, kPackagedDaemon.size(), lines);
}

}  // namespace cluster::clusterctl
