#include "clusterctl/config_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "clusterctl/failure.hpp"
#include "clusterctl/session.hpp"
#include "clusterctl/view/format.hpp"
#include "conf/load.hpp"
#include "sys/file.hpp"

namespace cluster::clusterctl {
namespace {

/// One byte more than conf takes: too much is conf's to say.
constexpr std::size_t kMaxBytes = conf::kMaxTextSize + 1;

/// Reads pipes too, unlike sys::read_file, whose files have a size.
Result<std::string> read_all(int descriptor) {
    std::string text;
    std::array<std::byte, 64 * 1024> buffer;
    while (text.size() < kMaxBytes) {
        const Result<std::size_t> count = sys::read_some(descriptor, buffer);
        if (!count) return tl::unexpected<Error>(count.error());
        if (*count == 0) break;
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    return text;
}

Result<std::string> read_text(const std::string& name) {
    if (name == "-") return read_all(STDIN_FILENO);
    const Result<sys::UniqueFd> file = sys::open_file(name, O_RDONLY);
    if (!file) return tl::unexpected<Error>(file.error());
    return read_all(file->get());
}

}  // namespace

ConfigFile read_config(const std::string& name) {
    ConfigFile file;
    std::error_code ignored;
    file.path = std::filesystem::absolute(name == "-" ? "stdin" : name, ignored).lexically_normal();
    const char* path = std::getenv("PATH");
    file.base_path = path == nullptr ? "" : path;

    Result<std::string> text = read_text(name);
    if (!text) {
        file.unreadable = describe(text.error(), name == "-" ? "stdin" : name);
        return file;
    }
    file.text = std::move(*text);
    conf::LoadResult loaded = conf::load(file.text, {file.path, file.base_path});
    if (loaded) {
        file.config = std::move(*loaded);
    } else {
        for (const conf::Diagnostic& diagnostic : loaded.error()) {
            // As the user named it: that is what an editor opens from here.
            conf::Diagnostic named = diagnostic;
            named.file = name == "-" ? "stdin" : name;
            file.diagnostics.push_back(conf::format(named));
        }
    }
    return file;
}

ConfigFile read_good_config(const std::string& name, const char* consequence) {
    ConfigFile file = read_config(name);
    if (!file.unreadable.empty()) {
        throw Failure(kUsage, "bad_config", file.unreadable,
                      "name a config file that is there: clusterctl start FILE.toml");
    }
    if (!file.config) {
        Failure failure(
            kUsage, "bad_config",
            count_of(file.diagnostics.size(), "mistake") + " in " + name + "; " + consequence,
            "check again with: clusterctl validate " + name);
        failure.diagnostics = std::move(file.diagnostics);
        throw failure;
    }
    return file;
}

}  // namespace cluster::clusterctl
