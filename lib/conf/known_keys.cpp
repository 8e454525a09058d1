#include "conf/known_keys.hpp"

#include <optional>
#include <string_view>

#include "conf/load.hpp"
#include "conf/report.hpp"

namespace cluster::conf {
namespace {

/// Deeper tables do not exist; a reader that noted itself below itself would never end.
constexpr int kMaxDepth = 8;

/// No key is called this.
constexpr std::string_view kUnknown = "\"?\" = 1";
constexpr std::string_view kName = "NAME";

/// The keys of the table at `path`; nothing when no table may stand there.
std::optional<std::vector<std::string>> keys_in(const std::string& text, const std::string& path) {
    Report report(text, "known_keys");
    const LoadResult ignored = load(text, {"/known_keys", "", std::nullopt}, report);
    for (const Report::Table& table : report.tables()) {
        if (table.path == path) return table.keys;
    }
    return std::nullopt;
}

std::optional<std::vector<std::string>> keys_of(const std::string& path) {
    const std::string unknown(kUnknown);
    if (path.empty()) return keys_in(unknown, path);
    const auto keys = keys_in(path + "." + unknown, path);
    // Or an array of tables.
    return keys ? keys : keys_in(path + " = [{ " + unknown + " }]", path);
}

void add_below(const std::string& path, int depth, std::vector<std::string>& paths) {
    if (depth == kMaxDepth) return;
    const std::string prefix = path.empty() ? "" : path + ".";
    const auto add = [&](std::string_view key) {
        const std::string found = prefix + std::string(key);
        paths.push_back(found);
        add_below(found, depth + 1, paths);
    };
    const auto keys = keys_of(path);
    for (const std::string& key : keys.value_or(std::vector<std::string>{})) add(key);
    // A table may have named tables beside keys of its own.
    if (!path.empty() && keys_of(prefix + std::string(kName))) add(kName);
}

}  // namespace

std::vector<std::string> known_keys() {
    std::vector<std::string> paths;
    add_below("", 0, paths);
    return paths;
}

}  // namespace cluster::conf
