// The archives of a log: what they are called, which of them are too many, which one is to be
// packed next.
//
// Pure: names and sizes in, names out; nothing here touches a file. An archive is called
// <log>.<number>-<time>, such as api.0.out.log.000042-20240517T093000Z, with .gz behind it when it
// is packed. The number grows by one with each rotation of that log and is the order; the time is
// that of the rotation and is for people and for `--since`: a clock that is set back confuses
// nobody. A name never changes but for the .gz, so a reader may hold on to it, a packer is never
// overtaken by a rename, and a rotation costs one rename however many archives are kept (numbers
// that count up with age cost one for each).
//
// While a packed archive lies beside its plain twin, the plain one is the truth: the packer was
// interrupted, or has not ended yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cluster::capture {

struct ArchiveName {
    std::string log;  // file name of the log, without its directory
    std::uint64_t number = 0;
    std::int64_t rotated_s = 0;  // seconds since 1970
    bool is_packed = false;

    [[nodiscard]] std::string text() const;
    friend bool operator==(const ArchiveName&, const ArchiveName&) = default;
};
/// None for any other name.
[[nodiscard]] std::optional<ArchiveName> parse_archive_name(std::string_view file_name);

/// "2024-05-17T09:30:00.123Z".
[[nodiscard]] std::string format_time_ms(std::int64_t wall_ms);
/// The reverse, of exactly that form; none for any other text.
[[nodiscard]] std::optional<std::int64_t> parse_time_ms(std::string_view text);

class Archives {
public:
    struct Limits {
        std::uint32_t keep;
        std::uint64_t max_total;  // bytes, the log itself included
        bool packs;
    };

    explicit Archives(std::string log) : log_(std::move(log)) {}

    /// A file of the log directory, in any order; what belongs to another log is ignored.
    void note(const ArchiveName& name, std::uint64_t bytes);

    /// The name of the next archive; its number is above all that were ever seen.
    [[nodiscard]] ArchiveName next(std::int64_t wall_ms) const;
    /// The log became this archive.
    void add(const ArchiveName& name, std::uint64_t bytes);

    /// Forgets the oldest archives until the limits hold beside a log of `log_bytes`; returns the
    /// names of their files. One that is being packed is named by on_packed instead.
    [[nodiscard]] std::vector<std::string> take_excess(const Limits& limits,
                                                       std::uint64_t log_bytes);

    /// The plain archive to pack next, which counts as being packed from now on: the newest, which
    /// stays the longest.
    [[nodiscard]] std::optional<std::string> take_to_pack(const Limits& limits);
    [[nodiscard]] bool wants_packing(const Limits& limits) const;
    /// The packer of this (plain) name has ended; `packed_bytes`: nothing when it failed: it is
    /// tried again when another one has succeeded. Returns the files to remove: all of an archive
    /// that became superfluous meanwhile.
    [[nodiscard]] std::vector<std::string> on_packed(std::string_view plain_name,
                                                     std::optional<std::uint64_t> packed_bytes);

    [[nodiscard]] std::size_t count() const { return list_.size(); }
    [[nodiscard]] const std::string& log() const { return log_; }

private:
    struct Archive {
        std::uint64_t number = 0;
        std::int64_t rotated_s = 0;
        std::uint64_t bytes = 0;
        bool has_plain = false;
        bool has_packed = false;  // a packed file lies there
        bool is_being_packed = false;
        bool has_failed = false;  // to pack
        bool is_excess = false;   // to be removed when its packer has ended
    };
    [[nodiscard]] std::string name_of(const Archive& archive, bool is_packed) const;
    [[nodiscard]] std::vector<std::string> files_of(const Archive& archive) const;
    [[nodiscard]] static bool can_be_packed(const Archive& archive);

    std::string log_;
    std::vector<Archive> list_;  // by number
    std::uint64_t last_number_ = 0;
};

}  // namespace cluster::capture
