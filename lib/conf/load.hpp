// The text of a config file in, a complete core::Config or the list of everything that is wrong
// with it out.
//
// All mistakes are found at once and each one is shown where it stands. A Config that comes out is
// complete: every default is filled in, every path absolute, every number in range. Users,
// directories and programs are not looked up: whether they exist is known at each start, not when
// the file is read. Nothing is thrown. The one thing read from the machine is the number of usable
// CPUs, for `instances = "max"` (conf/cpus.hpp). Every key, its unit, bounds and default are
// documented in config/clusterd.toml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "conf/values.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// Larger texts are refused. Unit: bytes. A config of 4,096 workers with twenty keys each stays
/// below it.
inline constexpr std::size_t kMaxTextSize = 1024 * 1024;

/// One mistake. Control characters in texts of the file are already made harmless for a terminal.
struct Diagnostic {
    std::string file;          // LoadContext::path
    std::uint32_t line = 0;    // from 1
    std::uint32_t column = 0;  // from 1, in characters (code points)
    std::string message;       // one line, without a full stop
    std::string source_line;   // text of that line for display, cut after 500 bytes

    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

/// The least size of a store with such tables, in bytes: lib/store knows.
using MinimumStoreSize = std::uint64_t (*)(const core::StoreSpec& spec);

struct LoadContext {
    std::string path;  // of the file, absolute: WorkerSpec::source; relative paths in it start at
                       // its directory
    std::string base_path;  // PATH for Launch::base_path
    /// Workers of other files, which `requires` may name. Nothing: whoever acts on the config
    /// knows them, so no name is unknown.
    std::optional<std::vector<std::string>> known_workers = std::vector<std::string>{};
    /// Stores of other files, which `store` may name. Nothing: as above.
    std::optional<std::vector<std::string>> known_stores = std::vector<std::string>{};
    /// Nothing: no store is called too small.
    MinimumStoreSize minimum_store_size = nullptr;
};

using LoadResult = tl::expected<core::Config, std::vector<Diagnostic>>;

/// Reads a whole config. Errors: at least one diagnostic, sorted by position; more than 1,000 are
/// counted, not listed.
[[nodiscard]] LoadResult load(std::string_view text, const LoadContext& context);

class Report;
/// The same, with a report of the caller's, made of the same text. After a refusal its mistakes are
/// taken out of it; the tables that it noted stay (known_keys.hpp).
[[nodiscard]] LoadResult load(std::string_view text, const LoadContext& context, Report& report);

/// "file:line:column: error: message", then the offending line and a caret under the column. Ends
/// with a newline.
[[nodiscard]] std::string format(const Diagnostic& diagnostic);

/// All of them, then "N errors". Ends with a newline.
[[nodiscard]] std::string format(const std::vector<Diagnostic>& diagnostics);

}  // namespace cluster::conf
