#include "clusterctl/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace cluster::clusterctl {
namespace {

constexpr std::size_t kLeastWidth = 20;
constexpr std::size_t kUsualWidth = 80;

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

}  // namespace

std::size_t Terminal::width() const {
    if (!is_terminal) return 0;
    winsize size{};
    const bool is_known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return std::max<std::size_t>(is_known ? size.ws_col : kUsualWidth, kLeastWidth);
}

Terminal look_at(int descriptor) {
    Terminal terminal;
    terminal.descriptor = descriptor;
    terminal.is_terminal = ::isatty(descriptor) == 1;
    const char* type = std::getenv("TERM");
    const bool is_dumb = type != nullptr && std::string_view(type) == "dumb";
    // Source: no-color.org: set and not empty.
    terminal.has_colour = terminal.is_terminal && !is_set("NO_COLOR") && !is_dumb;
    return terminal;
}

}  // namespace cluster::clusterctl
