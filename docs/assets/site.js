// What the theme lacks: it adds its elements after this script has run, so that each addition is followed by a repair.

function repair() {
  // Blocks that scroll can be scrolled by keyboard.
  for (const block of document.querySelectorAll("pre > code, .md-typeset__scrollwrap, .wide")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  }
  // A section with a page of its own has an empty label.
  for (const section of document.querySelectorAll("nav.md-nav[aria-labelledby]")) {
    section.setAttribute("aria-label", section.querySelector(".md-nav__title").textContent.trim());
    section.removeAttribute("aria-labelledby");
  }
  // The button of a code block is no landmark.
  for (const buttons of document.querySelectorAll("nav.md-code__nav:not([role])")) buttons.setAttribute("role", "none");
  // Copying takes commands without the prompt and without their output.
  for (const button of document.querySelectorAll(".language-console .md-code__button:not([data-clipboard-text])")) {
    const code = button.closest("pre").querySelector("code").cloneNode(true);
    for (const part of code.querySelectorAll(".gp, .go")) part.remove();
    button.setAttribute("data-clipboard-text", code.textContent.replace(/\n+/g, "\n").trim());
  }
}

repair();
addEventListener("load", repair);
new MutationObserver(repair).observe(document.body, { childList: true, subtree: true });
