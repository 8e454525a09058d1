#include "clusterctl/config_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "clusterctl/failure.hpp"
#include "clusterctl/session.hpp"
#include "clusterctl/view/format.hpp"
#include "conf/load.hpp"
#include "store/geometry.hpp"
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

std::uint64_t minimum_store_size(const core::StoreSpec& spec) {
    return store::minimum_bytes({.bytes = spec.size,
                                 .counters = spec.counters,
                                 .participants = spec.participants,
                                 .striped = spec.striped_counters});
}

/// `known_stores`: as conf::LoadContext has it.
void load_text(ConfigFile& file, const std::string& name, const KnownWorkers& known,
               const std::optional<std::vector<std::string>>& known_stores) {
    conf::LoadResult loaded = conf::load(file.text, {.path = file.path,
                                                     .base_path = file.base_path,
                                                     .known_workers = known,
                                                     .known_stores = known_stores,
                                                     .minimum_store_size = &minimum_store_size});
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
}

/// Whether a worker requires, wants or follows one that the file does not have.
bool requires_others(const core::Config& config) {
    const auto is_here = [&](const std::string& name) {
        return std::any_of(config.workers.begin(), config.workers.end(),
                           [&](const core::WorkerSpec& spec) { return spec.name == name; });
    };
    return std::any_of(config.workers.begin(), config.workers.end(), [&](const auto& spec) {
        const std::vector<std::string> names = core::predecessors_of(spec);
        return !std::all_of(names.begin(), names.end(), is_here);
    });
}

}  // namespace

ConfigFile read_config(const std::string& name, const KnownWorkers& known) {
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
    // Whoever knows the workers of others by name knows that there are no stores of others.
    load_text(file, name, known, known ? KnownWorkers{std::vector<std::string>{}} : std::nullopt);
    return file;
}

ConfigFile read_good_config(const std::string& name,
                            const std::function<KnownWorkers()>& find_known,
                            const char* consequence) {
    ConfigFile file = read_config(name, std::nullopt);
    // With mistakes in it, too: those about names of workers are shown beside the others.
    const bool has_mistakes = file.unreadable.empty() && !file.config;
    if (has_mistakes || (file.config && requires_others(*file.config))) {
        file.config.reset();
        file.diagnostics.clear();
        load_text(file, name, find_known(), std::nullopt);
    }
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
