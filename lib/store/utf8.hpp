// Whether bytes are UTF-8 without NUL, surrogates or overlong forms.
#pragma once

#include <cstdint>
#include <string_view>

namespace cluster::store {

[[nodiscard]] constexpr bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at++]);
        if (first == 0) return false;
        if (first < 0x80) continue;
        const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4) return false;
        std::uint32_t code = first & (0x3FU >> static_cast<unsigned>(more));
        for (int i = 0; i < more; ++i) {
            if (at == text.size()) return false;
            const auto next = static_cast<unsigned char>(text[at++]);
            if ((next & 0xC0U) != 0x80U) return false;
            code = (code << 6U) | (next & 0x3FU);
        }
        if (more == 2 && code < 0x800) return false;
        if (more == 3 && code < 0x1'0000) return false;
        if (code > 0x10'FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    }
    return true;
}

}  // namespace cluster::store
