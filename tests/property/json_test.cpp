// Random documents against the library that our reading and writing hides: built step by step, said
// and read by both, whole and damaged.

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "json/text.hpp"
#include "property/property.hpp"

namespace cluster::json {
namespace {

using Library = nlohmann::ordered_json;

constexpr std::array<const char*, 12> kTexts{
    "",   "a",        "worker.0", "\"\\\n", "é€😀",          "\xff",
    "\t", "\xe2\x82", "\x7f",     "\x01",   "\xed\xa0\x80", "a text that needs memory of its own"};

struct Step {
    enum class Kind : std::uint8_t {
        array,
        object,
        close,
        null,
        boolean,
        negative,
        counter,
        real,
        text,
        last
    };
    Kind kind = Kind::null;
    std::uint64_t value = 0;
};

Step make_step(Prng& prng) {
    return {static_cast<Step::Kind>(prng.below(static_cast<std::uint64_t>(Step::Kind::last))),
            prng.next()};
}

std::string show_step(const Step& step) {
    return "kind " + std::to_string(static_cast<int>(step.kind)) + " value " +
           std::to_string(step.value);
}

/// Both documents, grown by the same steps: each container holds the place where it lies in its
/// own.
class Twins {
public:
    Twins() {
        ours = Json::array();
        theirs = Library::array();
        open_.push_back({&ours, &theirs});
    }

    void grow(const Step& step) {
        if (step.kind == Step::Kind::close) {
            if (open_.size() > 1) open_.pop_back();
            return;
        }
        const auto [own, their] = open_.back();
        // What is grown behind this would move, so that nothing is kept but the innermost place.
        Json* mine = nullptr;
        Library* other = nullptr;
        if (own->is_array()) {
            mine = &own->push_back(value_of<Json>(step));
            other = &their->emplace_back(value_of<Library>(step));
        } else {
            const std::string name =
                kTexts[step.value % kTexts.size()] + std::to_string(step.value);
            mine = &((*own)[name] = value_of<Json>(step));
            other = &((*their)[name] = value_of<Library>(step));
        }
        const bool is_container = mine->is_array() || mine->is_object();
        if (is_container && open_.size() < 20) open_.push_back({mine, other});
    }

    Json ours;
    Library theirs;

private:
    struct Place {
        Json* ours;
        Library* theirs;
    };

    template <class Value>
    static Value value_of(const Step& step) {
        switch (step.kind) {
            case Step::Kind::array:
                return Value::array();
            case Step::Kind::object:
                return Value::object();
            case Step::Kind::boolean:
                return Value(step.value % 2 == 0);
            case Step::Kind::negative:
                return Value(static_cast<std::int64_t>(step.value | (std::uint64_t{1} << 63U)));
            case Step::Kind::counter:
                return Value(step.value >> (step.value % 64));
            case Step::Kind::real:
                return Value(std::bit_cast<double>(step.value));
            case Step::Kind::text:
                return Value(std::string(kTexts[step.value % kTexts.size()]));
            case Step::Kind::null:
            case Step::Kind::close:
            case Step::Kind::last:
                break;
        }
        return Value(nullptr);
    }

    std::vector<Place> open_;
};

std::string said(const Library& value, int indent) {
    return value.dump(indent, ' ', false, Library::error_handler_t::replace);
}

/// What differs between the two about one text, or "".
std::string compare_reading(const std::string& text) {
    const Library theirs = Library::parse(text, nullptr, false);
    const auto ours = parse(text, {.depth = 64, .last_key_counts = true});
    if (is_json(text) != !theirs.is_discarded()) return "is_json: " + text;
    if (ours.has_value() == theirs.is_discarded()) return "one reads it: " + text;
    if (ours && dump_line(*ours) != said(theirs, -1)) return "read otherwise: " + text;
    return "";
}

std::string check(const std::vector<Step>& steps) {
    Twins twins;
    for (const Step& step : steps) twins.grow(step);
    const std::string line = dump_line(twins.ours);
    if (line != said(twins.theirs, -1)) return "said otherwise: " + line;
    const std::string pretty = dump_pretty(twins.ours);
    if (pretty != said(twins.theirs, 2) + "\n") return "shown otherwise: " + pretty;
    const auto again = parse(line, {.depth = 64, .keys_per_object = 1000});
    if (!again) return "not read again, " + again.error() + ": " + line;
    if (dump_line(*again) != line) return "comes back otherwise: " + line;
    if (parse(pretty, {.depth = 64, .keys_per_object = 1000}) != *again) return "pretty: " + pretty;
    // Damage: a piece is missing, a byte is another one.
    for (const Step& step : steps) {
        std::string damaged = line;
        const std::size_t at = step.value % damaged.size();
        if (step.kind == Step::Kind::close) {
            damaged.resize(at);
        } else {
            damaged[at] = static_cast<char>(step.value >> 32U);
        }
        std::string difference = compare_reading(damaged);
        if (!difference.empty()) return difference;
    }
    return "";
}

TEST_CASE("json/property: says and reads what the library says and reads, damaged texts too") {
    const std::string failure = test::for_all(300, 60, make_step, check, show_step);
    CHECK_MESSAGE(failure.empty(), failure);
}

}  // namespace
}  // namespace cluster::json
