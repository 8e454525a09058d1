// clusterctl store: looks into a live store and changes it, as any worker does. The daemon only
// hands the segment over; what is in it is written by workers and believed by nobody.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "clusterctl/client.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"
#include "clusterctl/view/store_view.hpp"
#include "clusterctl/view/text.hpp"
#include "conf/values.hpp"
#include "ctl/nearest.hpp"
#include "store/participant.hpp"
#include "store/table.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::clusterctl {
namespace {

using store::Bytes;

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

store::Buffer buffer_of(std::string& text) {
    return std::as_writable_bytes(std::span{text.data(), text.size()});
}

/// What the store refused, and what to do about it.
Failure store_failure(const Error& error, const std::string& key) {
    const auto failure = [](std::string message, std::string hint = {}) {
        return Failure(kFailed, "failed", std::move(message), std::move(hint));
    };
    const std::string name = "\"" + one_line(key) + "\"";
    switch (error.code) {
        case ENOENT:
            return {kFailed, "no_match", "there is no key " + name,
                    "see what there is: clusterctl store list"};
        case EEXIST:
            return failure("the key " + name + " is there already");
        case ENOSPC:
            return failure("the store is full",
                           "delete keys, or give it a larger size: clusterctl store stats");
        case EUSERS:
            return failure("every participant's place in the store is taken",
                           "raise [store] participants in the config, or end some workers");
        case EINVAL:
            return usage_failure("the key is empty");
        case ENAMETOOLONG:
            return usage_failure("the key is longer than 1024 bytes");
        case EFBIG:
            return failure("the value is too large: up to " +
                           std::to_string(store::kMaxValueBytes) + " bytes fit beside any key");
        case EMEDIUMTYPE:
            return failure("the value of " + name + " is no number");
        case EOVERFLOW:
            return failure("the value of " + name + " would leave the range of 64 bits");
        case EBADMSG:
        case EBUSY:
        case EBADF:
            return failure("the store is damaged: some worker has written where it must not",
                           "find out which one, then shut the daemon down and start it again");
        case EPROTONOSUPPORT:
            return failure("the store has a layout that this clusterctl does not know",
                           "client and daemon may be of different versions: clusterctl version");
        default:
            return failure(describe(error, "the store"));
    }
}

template <class Value>
Value value_or_throw(Result<Value> result, const std::string& key) {
    if (!result) throw store_failure(result.error(), key);
    if constexpr (!std::is_void_v<Value>) return std::move(*result);
}

std::int64_t now_ns() {
    return to_ns(sys::monotonic_now());
}

std::optional<std::int64_t> ttl_of(std::uint64_t deadline) {
    if (deadline == 0) return std::nullopt;
    const auto left = static_cast<std::int64_t>(deadline) - now_ns();
    return std::max<std::int64_t>(left, 0) / 1'000'000;
}

/// A store, attached, and a place in it for who changes something.
class OpenStore {
public:
    OpenStore(Client& client, const std::string& name)
        : opened_(client.open_store(name)), segment_(attach(opened_.segment.get())) {
        if (segment_.generation() != opened_.status.generation) {
            throw store_failure({Op::store, EBADMSG}, "");
        }
    }

    [[nodiscard]] const ctl::StoreStatus& status() const { return opened_.status; }
    [[nodiscard]] int descriptor() const { return opened_.segment.get(); }
    [[nodiscard]] store::Segment& segment() { return segment_; }
    [[nodiscard]] store::Table table() { return store::Table{segment_}; }
    [[nodiscard]] store::Counters counters() { return store::Counters{segment_}; }
    [[nodiscard]] store::Participant& me() {
        if (!me_) me_ = value_or_throw(store::Participant::join(segment_), "");
        return *me_;
    }

private:
    static store::Segment attach(int fd) {
        return value_or_throw(store::Segment::attach(fd, store::Access::read_write), "");
    }

    Client::OpenedStore opened_;
    store::Segment segment_;
    std::optional<store::Participant> me_;  // ends before the segment does
};

class StoreVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "store",
                .aliases = {},
                .usage =
                    "[--store NAME] get KEY | set KEY VALUE | del KEY… | incr KEY [BY] | list "
                    "[PREFIX] | stats | counter list",
                .summary = "Look into the shared store, and change it"};
    }
    void declare(OptionSink& options) override {
        options.words("ACTION", words_, "What to do, and with what");
        options.value("--store", store_, "NAME", "Which store (else the default one)");
        options.value("--ttl", ttl_, "DURATION", "set: it goes away after this");
        options.flag("--add", is_add_, "set: only if the key is not there");
        options.flag("--replace", is_replace_, "set: only if it is");
        options.value("--file", file_, "FILE", "set: the value is in this file; - reads stdin");
        options.value("-n,--limit", limit_, "N", "list: at most so many keys");
    }

    [[nodiscard]] int run(Session& session) override {
        if (words_.empty()) {
            throw usage_failure("say what to do with the store",
                                "for example: clusterctl store list");
        }
        struct Action {
            std::string_view name;
            int (StoreVerb::*run)(Session& session);
        };
        constexpr std::array<Action, 7> kActions{{{"get", &StoreVerb::get},
                                                  {"set", &StoreVerb::set},
                                                  {"del", &StoreVerb::remove},
                                                  {"incr", &StoreVerb::increment},
                                                  {"list", &StoreVerb::list},
                                                  {"stats", &StoreVerb::statistics},
                                                  {"counter", &StoreVerb::counter}}};
        std::vector<std::string_view> names;
        for (const Action& action : kActions) {
            if (action.name == words_.front()) return (this->*action.run)(session);
            names.push_back(action.name);
        }
        throw usage_failure("store knows no \"" + one_line(words_.front()) + "\"" +
                                ctl::suggestion(words_.front(), names),
                            "see: clusterctl store --help");
    }

private:
    /// The words behind the action. Throws unless there are so many.
    const std::string& word(std::size_t index) const { return words_.at(index); }
    void expect_words(std::size_t least, std::size_t most, const char* usage) const {
        const std::size_t count = words_.size() - 1;
        if (count < least || count > most) {
            throw usage_failure(std::string("expected: clusterctl store ") + usage);
        }
    }
    [[nodiscard]] std::string store_name() const {
        return store_.empty() ? core::kDefaultStore : store_;
    }
    [[nodiscard]] OpenStore open(const Session& session) const {
        Client client(session.directories());
        return OpenStore{client, store_name()};
    }

    int get(Session& session) {
        expect_words(1, 1, "get KEY");
        OpenStore store = open(session);
        StoreKey key{.key = word(1), .value = std::string(store::kMaxBlockBytes, '\0')};
        const store::Value value =
            value_or_throw(store.table().get(bytes_of(key.key), buffer_of(key.value)), key.key);
        key.value.resize(std::min<std::size_t>(value.size, key.value.size()));
        key.size = value.size;
        key.ttl_ms = ttl_of(value.deadline);
        if (session.options().is_json) {
            print(store_value_document(store_name(), key));
            return kDone;
        }
        // Byte for byte for a program; on a terminal a line, made harmless.
        print(session.out().is_terminal ? harmless_line(key.value) + "\n" : key.value);
        return kDone;
    }

    [[nodiscard]] std::string value_to_set() const {
        if (file_.empty()) {
            expect_words(2, 2, "set KEY VALUE, or: clusterctl store set KEY --file FILE");
            return word(2);
        }
        expect_words(1, 1, "set KEY --file FILE");
        auto text = sys::UniqueFd{};
        int descriptor = 0;
        if (file_ != "-") {
            auto opened = sys::open_file(file_, O_RDONLY);
            if (!opened) throw Failure(kFailed, "failed", describe(opened.error(), file_));
            text = std::move(*opened);
            descriptor = text.get();
        }
        std::string value;
        std::array<std::byte, 65536> buffer;
        while (value.size() <= store::kMaxBlockBytes) {
            const auto count = sys::read_some(descriptor, buffer);
            if (!count) throw Failure(kFailed, "failed", describe(count.error(), file_));
            if (*count == 0) break;
            value.append(reinterpret_cast<const char*>(buffer.data()), *count);
        }
        return value;
    }

    int set(Session& session) {
        if (is_add_ && is_replace_) throw usage_failure("--add and --replace exclude each other");
        Duration ttl{};
        if (!ttl_.empty()) {
            const auto parsed = conf::parse_duration(ttl_);
            if (!parsed) throw usage_failure("--ttl: " + parsed.error());
            if (*parsed <= Duration{}) throw usage_failure("--ttl: expected more than 0s");
            ttl = *parsed;
        }
        const std::string value = value_to_set();
        const std::string& key = word(1);
        OpenStore store = open(session);
        store::Table table = store.table();
        const auto stored = is_add_ ? table.add(store.me(), bytes_of(key), bytes_of(value), ttl)
                            : is_replace_
                                ? table.replace(store.me(), bytes_of(key), bytes_of(value), ttl)
                                : table.set(store.me(), bytes_of(key), bytes_of(value), ttl);
        if (!stored) throw store_failure(stored.error(), key);
        if (!session.options().is_json) return kDone;
        StoreKey shown{.key = key, .value = value, .size = value.size()};
        if (ttl > Duration{}) shown.ttl_ms = to_ms(ttl);
        print(store_value_document(store_name(), shown));
        return kDone;
    }

    int remove(Session& session) {
        expect_words(1, SIZE_MAX, "del KEY…");
        OpenStore store = open(session);
        std::vector<std::string> deleted;
        std::vector<std::string> missing;
        for (std::size_t i = 1; i < words_.size(); ++i) {
            const auto removed = store.table().remove(store.me(), bytes_of(word(i)));
            if (!removed && removed.error().code != ENOENT) {
                throw store_failure(removed.error(), word(i));
            }
            (removed ? deleted : missing).push_back(word(i));
        }
        if (session.options().is_json) {
            print(store_deleted_document(store_name(), deleted, missing));
            return missing.empty() ? kDone : kFailed;
        }
        if (!missing.empty()) throw store_failure({Op::store, ENOENT}, missing.front());
        return kDone;
    }

    int increment(Session& session) {
        expect_words(1, 2, "incr KEY [BY]");
        std::int64_t by = 1;
        if (words_.size() == 3) {
            std::string_view text = word(2);
            if (text.substr(0, 1) == "+") text.remove_prefix(1);
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), by);
            if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
                throw usage_failure("\"" + one_line(word(2)) + "\" is no number of 64 bits");
            }
        }
        OpenStore store = open(session);
        const std::string& key = word(1);
        const std::int64_t number =
            value_or_throw(store.table().increment(store.me(), bytes_of(key), by), key);
        print(session.options().is_json ? store_number_document(store_name(), key, number)
                                        : std::to_string(number) + "\n");
        return kDone;
    }

    [[nodiscard]] std::size_t limit() const {
        if (limit_.empty()) return SIZE_MAX;
        std::size_t number = 0;
        const auto [end, error] =
            std::from_chars(limit_.data(), limit_.data() + limit_.size(), number);
        if (error != std::errc{} || end != limit_.data() + limit_.size() || number == 0) {
            throw usage_failure("--limit: expected a number from 1");
        }
        return number;
    }

    int list(Session& session) {
        expect_words(0, 1, "list [PREFIX]");
        const std::string prefix = words_.size() == 2 ? word(1) : "";
        const std::size_t most = limit();
        OpenStore store = open(session);
        const store::Table table = store.table();
        constexpr std::size_t kPreview = 64;
        std::vector<StoreKey> keys;
        store::Cursor cursor;
        std::string key(store::kMaxKeyBytes, '\0');
        std::string value(kPreview, '\0');
        while (auto item =
                   value_or_throw(table.next(cursor, buffer_of(key), buffer_of(value)), "")) {
            const std::string_view name = std::string_view(key).substr(0, item->key_size);
            if (name.substr(0, prefix.size()) != prefix) continue;
            const std::uint64_t size = item->value.size;
            keys.push_back({.key = std::string(name),
                            .value = value.substr(0, std::min<std::size_t>(size, kPreview)),
                            .size = size,
                            .ttl_ms = ttl_of(item->value.deadline)});
        }
        std::sort(keys.begin(), keys.end(),
                  [](const StoreKey& a, const StoreKey& b) { return a.key < b.key; });
        const bool has_more = keys.size() > most;
        const std::size_t all = keys.size();
        if (has_more) keys.resize(most);
        if (session.options().is_json) {
            print(store_keys_document(store_name(), keys, has_more));
        } else {
            print(store_keys_table(keys, session.view()));
            if (has_more) print_error("and " + std::to_string(all - most) + " more\n");
        }
        return kDone;
    }

    int statistics(Session& session) {
        expect_words(0, 0, "stats");
        OpenStore store = open(session);
        StoreStatistics statistics{.status = store.status(),
                                   .census = store::take_census(store.segment()),
                                   .chunks = store.segment().geometry().chunk_count};
        // As made, not as asked for.
        statistics.status.spec.counters = store.segment().geometry().counters;
        struct stat info {};
        if (::fstat(store.descriptor(), &info) == 0) {
            statistics.memory_bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
        }
        Client client(session.directories());
        for (const ctl::StoreStatus& other : client.list_stores().stores) {
            if (other.spec.name != store_name()) statistics.others.push_back(other.spec.name);
        }
        print(session.options().is_json ? statistics_document(statistics)
                                        : statistics_text(statistics));
        return kDone;
    }

    int counter(Session& session) {
        if (words_.size() != 2 || word(1) != "list") {
            throw usage_failure("expected: clusterctl store counter list");
        }
        OpenStore store = open(session);
        const store::Counters counters = store.counters();
        std::vector<store::CounterItem> items;
        std::uint32_t at = 0;
        while (auto item = counters.next(&at)) items.push_back(*item);
        std::sort(items.begin(), items.end(),
                  [](const auto& a, const auto& b) { return a.name_view() < b.name_view(); });
        print(session.options().is_json ? counters_document(store_name(), items)
                                        : counters_table(items, session.view()));
        return kDone;
    }

    std::vector<std::string> words_;
    std::string store_;
    std::string ttl_;
    std::string file_;
    std::string limit_;
    bool is_add_ = false;
    bool is_replace_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_store() {
    return std::make_unique<StoreVerb>();
}

}  // namespace cluster::clusterctl
