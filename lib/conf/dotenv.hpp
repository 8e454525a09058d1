// Environment files (`.env`): NAME=value lines as Docker Compose and most shells' users know them.
//
//   [export ]NAME=value      blanks around '=' do not count; blank lines and # lines are skipped
//   unquoted                 trimmed; ends before " #"; $NAME, ${NAME}, ${NAME:-d} and ${NAME-d}
//                            are replaced, \$ is a plain $
//   'single'                 literally as it is, over several lines if need be
//   "double"                 \n \r \t \\ \" \$ are escapes; replaced as above; several lines too
//
// Nothing is ever executed: $(command) and `command` are plain text. A name that is not set is
// replaced by nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace cluster::conf {

struct DotenvError {
    std::uint32_t line = 0;  // from 1
    std::string message;     // one line, without a full stop
};

/// The value of a variable that no earlier line of the file sets.
using DotenvLookup = std::function<std::optional<std::string>(std::string_view name)>;

/// In the order of the text; of two lines of one name both are there. Without a lookup, '$' is
/// plain text everywhere. Errors: the first line that cannot be understood.
[[nodiscard]] tl::expected<std::vector<std::pair<std::string, std::string>>, DotenvError>
parse_dotenv(std::string_view text, const DotenvLookup& lookup);

/// [A-Za-z_][A-Za-z0-9_]*
[[nodiscard]] bool is_environment_name(std::string_view name);

/// Names that the daemon sets itself at each start: a value from a file would be lost or would
/// mislead.
[[nodiscard]] bool is_reserved_environment_name(std::string_view name);

}  // namespace cluster::conf
