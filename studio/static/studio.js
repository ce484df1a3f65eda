// The entry of this page, where the navigation is a strip that scrolls.
document.querySelector(".side [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
