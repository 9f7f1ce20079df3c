/** What every program takes. */
