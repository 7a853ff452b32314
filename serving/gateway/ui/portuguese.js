// The page in European Portuguese, by its English texts.
export const portuguese = {
};
